"""Where bytes come in and go out: the only code that reads sockets."""
