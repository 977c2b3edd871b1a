/* The kernel's price: for each message one send() to every socket, or back to its sender, and nothing else.
 *
 * A bare TCP stream of messages of one size, without handshake or frames, after one "hello" from here:
 *     kernel PORT fanout|echo SIZE
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CLIENTS = 65536, READY = 1024, BUFFER = 1 << 18 };

static int clients[CLIENTS], count;
static char buffer[BUFFER];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(int port) {
    int line = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(line, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(line, (struct sockaddr *)&address, sizeof address) || listen(line, 4096)) fail("listen");
    return line;
}

static void admit(int poll, int line) {
    int client = accept(line, NULL, NULL), yes = 1;
    if (client < 0) return;
    if (count == CLIENTS) {
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(client, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = client};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, client, &event)) fail("epoll_ctl");
    clients[count++] = client;
    if (send(client, "hello", 5, MSG_NOSIGNAL) != 5) fail("send");
}

static void dismiss(int client) {
    close(client);
    for (int index = 0; index < count; index++)
        if (clients[index] == client) clients[index--] = clients[--count];
}

/* A message that came in two pieces would need a buffer per client; senders write whole ones. */
static void answer(int client, int fan_out, ssize_t size) {
    ssize_t got = recv(client, buffer, BUFFER / size * size, 0);
    if (got <= 0) {
        dismiss(client);
        return;
    }
    if (got % size) fail("a message in pieces");
    for (char *message = buffer; message < buffer + got; message += size) {
        if (!fan_out && send(client, message, size, MSG_NOSIGNAL) != size) fail("send");
        for (int index = 0; fan_out && index < count; index++)
            if (send(clients[index], message, size, MSG_NOSIGNAL) != size) fail("send");
    }
}

int main(int words, char **word) {
    if (words != 4 || atoi(word[3]) <= 0 || atoi(word[3]) > BUFFER) {
        fprintf(stderr, "kernel PORT fanout|echo SIZE\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int line = listen_on(atoi(word[1])), poll = epoll_create1(0), fan_out = !strcmp(word[2], "fanout");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = line}, ready[READY];
    if (epoll_ctl(poll, EPOLL_CTL_ADD, line, &event)) fail("epoll_ctl");
    for (;;) {
        int events = epoll_wait(poll, ready, READY, -1);
        for (int index = 0; index < events; index++) {
            if (ready[index].data.fd == line) admit(poll, line);
            else answer(ready[index].data.fd, fan_out, atoi(word[3]));
        }
    }
}
