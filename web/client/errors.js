/** What went wrong: `code` is a word for programs, the message a sentence for people. */
export class HubbubError extends Error {
  constructor(code, reason) {
    super(reason);
    this.name = "HubbubError";
    this.code = code;
  }
}
