/** The client of Hubbub. See docs/guides/javascript.md. */

/**
 * A hub at this URL: the server's, with the path at which Hubbub is mounted, if it is. Without one, where this file was served from,
 * or else where the page is from. Nothing is opened before the first `join`.
 */
export function connect(url?: string | URL, options?: Options): Hub;
export function connect(options?: Options): Hub;

export type Transport = "websocket" | "sse" | "polling";

export interface Options {
  /** Which to use, best first. All there are unless told otherwise. */
  transports?: Transport[];
  /** Where there is no global one, as in Node 20: such as that of the package `ws`. Without any, the line is an event stream. */
  WebSocket?: new (url: string) => any;
  /** What makes requests: a wrapper that adds headers or credentials, for example. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds a send waits for its reply, on line or off it. 30,000; at most 9 minutes. */
  timeout?: number;
  /** How many sends may wait for their reply. 256. */
  queue?: number;
  /** The pause before a new line is chance, between nothing and `first * 2 ** failures`, and never more than `most` milliseconds. */
  backoff?: { first?: number; most?: number };
  /** Milliseconds in which a line has to open. 10,000. */
  patience?: number;
  /** Milliseconds of silence after which the server is asked for a sign of life. 25,000. */
  pulse?: number;
  /** Milliseconds on a lesser line before a better one is tried. 60,000, and twice as long after each failure, up to ten minutes. */
  upgrade?: number;
}

/** What went wrong: `code` is a word for programs, `message` a sentence for people. */
export class HubbubError extends Error {
  constructor(code: string, reason: string);
  /** The server's, a channel's own, or the client's: `timeout`, `full`, `left`, `closed`, `lost`. */
  readonly code: string;
}

/** Join parameters, or what makes them anew for each join: for a token that expires. */
export type Params = Record<string, unknown>;

export interface HubEvents {
  up: { transport: Transport };
  /** `delay` is the pause before the next attempt, in milliseconds; null: there will be none. */
  down: { error: HubbubError; delay: number | null };
  /** Something was published that could not be told here. */
  error: HubbubError;
}

export interface Hub {
  readonly url: string;
  readonly state: "down" | "up" | "closed";
  readonly transport: Transport | null;
  /** This client's public name on the server, where the transport has one. */
  readonly id: string | null;
  /** Enter a topic, or get the room that is there already. `after` is the position to go on from, one that a room had earlier. */
  join(topic: string, params?: Params | (() => Params | Promise<Params>), options?: { after?: string }): Room;
  /** Listen; what comes back stops it. */
  on<E extends keyof HubEvents>(event: E, listener: (value: HubEvents[E]) => void): () => void;
  off<E extends keyof HubEvents>(event: E, listener: (value: HubEvents[E]) => void): void;
  /** Leave all rooms, for good. */
  close(): void;
}

export interface Entry {
  /** What the channel's `join` returned. */
  payload: any;
  /** This was a return, after a line that broke. */
  again: boolean;
  /** true: all that was missed follows, in order, once. false: it cannot be had. null: nobody asked, or the topic keeps nothing. */
  recovered: boolean | null;
}

export interface Room {
  readonly topic: string;
  readonly state: "joining" | "joined" | "left";
  /** How far this topic has been read; null if it keeps nothing. */
  readonly position: string | null;
  /** Fulfilled with what the channel's `join` returned, once this room is in; after a line that broke, a new promise. */
  readonly joined: Promise<any>;
  readonly presence: Presence;
  /** It is in: the first time, and each time again. */
  onjoin: ((entry: Entry) => void) | null;
  /** Something was missed and cannot be had: what the page holds of this topic is out of date. */
  ongap: (() => void) | null;
  /** It is out, and not by its own will. */
  onleave: ((error: HubbubError) => void) | null;
  /** Do something in the topic. A send that the line broke under is made again, and publishes once. */
  send<Reply = any>(event: string, payload?: unknown, options?: { id?: string; timeout?: number }): Promise<Reply>;
  /** Hear an event; what comes back stops it. What the first listener returns, or promises, is the answer to a server that asks. */
  on<Payload = any>(event: string, listener: (payload: Payload) => unknown): () => void;
  off(event: string, listener: (payload: any) => unknown): void;
  leave(): void;
}

export interface Someone {
  metas: ({ phx_ref?: string } & Record<string, any>)[];
}

export interface Presence {
  list(): ({ key: string } & Someone)[];
  get(key: string): Someone | undefined;
  onchange: ((present: ({ key: string } & Someone)[]) => void) | null;
}
