// The room is what follows # in the address: open /#garden in two tabs.
const room = decodeURIComponent(location.hash.slice(1)) || "lobby";
const [state, messages, form, name, text] = ["state", "messages", "form", "name", "text"].map((id) =>
  document.getElementById(id),
);
name.value = localStorage.getItem("name") || "guest";

// Called again whenever the socket connects, so that a new name counts from then on.
const socket = io(`/room:${room}`, { auth: (tell) => tell({ name: name.value }) });

socket.on("connect", () => {
  state.textContent = `in ${room}`;
  messages.replaceChildren(); // the room's last messages follow
});
socket.on("disconnect", () => (state.textContent = "reconnecting"));
socket.on("connect_error", (error) => (state.textContent = error.message));

socket.on("said", (message) => {
  const line = document.createElement("li");
  const who = document.createElement("b");
  who.textContent = message.name;
  line.append(who, " ", message.text); // as text: what people write never becomes markup
  messages.append(line);
  line.scrollIntoView();
});

name.addEventListener("change", () => {
  localStorage.setItem("name", name.value);
  socket.disconnect().connect();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const answer = await socket.timeout(5000).emitWithAck("say", text.value);
    if (answer?.error) throw new Error(answer.error.reason);
    text.value = "";
  } catch (error) {
    state.textContent = `not sent: ${error.message}`;
  }
});
addEventListener("hashchange", () => location.reload());
