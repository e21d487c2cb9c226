/** A client of a Django messaging server: see README.md. */

export interface Person {
  user_id: string;
  username: string;
  first_name: string;
  last_name: string;
  role: "guest" | "host" | "admin";
  is_online: boolean;
  last_seen_at: string | null;
}

export interface Message {
  message_id: string;
  conversation: string;
  sender: Person;
  seq: number;
  message_body: string;
  sent_at: string;
  edited_at: string | null;
  deleted_at: string | null;
  client_id: string | null;
}

/** A conversation of a Store; the maps are by user_id. */
export interface Conversation {
  conversation_id: string;
  title: string;
  owner: string | null;
  participant_count: number;
  last_message: Message | null;
  last_seq: number;
  created_at: string;
  updated_at: string;
  /** What I may do; missing until the conversation itself is loaded. */
  can?: Record<"send" | "rename" | "add" | "remove" | "delete", boolean>;
  /** How far each has read. */
  read: Map<string, number>;
  /** The last_seq when each joined. */
  joined: Map<string, number>;
  /** Since when each is typing. */
  typing: Map<string, number>;
}

/** Part of a conversation's messages, without gaps. */
export interface Timeline {
  id: string;
  messages: Message[];
  /** The seq of the first message that was new when it was opened. */
  firstNew?: number;
  target: number | null;
  isLed: boolean;
  /** Whether the reader is at its end: to be set by what shows it. */
  isAtBottom: boolean;
  isExtending?: boolean;
}

export class Notices<Types extends object = Record<string, unknown>> {
  /** Call the listener at each notice of a type; returns what ends that. */
  on<Type extends keyof Types>(type: Type, listener: (detail: Types[Type]) => void): () => void;
  notify<Type extends keyof Types>(type: Type, detail: Types[Type]): void;
}

// --- Calls -------------------------------------------------------------------------

export class ApiError extends Error {
  constructor(status: number, body: unknown, options?: { retryAfter?: number; texts?: ErrorTexts });
  /** 0 if there was no answer. */
  readonly status: number;
  /** The reason, for programs. */
  readonly code: string;
  /** The messages of a form's fields, by name. */
  readonly fields: Record<string, string[]>;
  /** In seconds; 0 if the server did not say. */
  readonly retryAfter: number;
  /** Whether the same call may work later. */
  readonly isTemporary: boolean;
}

export interface ErrorTexts {
  unexpected(status: number): string;
  unreachable(): string;
}

export interface ApiOptions {
  token?: string;
  csrf?: () => string;
  /** Milliseconds until a call is given up. */
  timeout?: number;
  texts?: Partial<ErrorTexts>;
  fetch?: typeof globalThis.fetch;
}

export interface Page<Item> {
  results: Item[];
  next: string | null;
  previous: string | null;
}

export class Api extends Notices<{ "signed out": ApiError }> {
  constructor(url: string, options?: ApiOptions);
  readonly url: string;
  token: string;
  call<Answer = any>(method: string, path: string, body?: unknown): Promise<Answer>;
  get<Answer = any>(path: string, parameters?: Record<string, string | number | boolean>): Promise<Answer>;
  all<Item = any>(path: string, parameters?: Record<string, string | number | boolean>): AsyncGenerator<Item, void>;
  search<Item = any>(
    path: string,
    text: string,
    isWanted?: () => boolean,
  ): Promise<{ results: Item[]; next: string | null }>;
  /** Get an access token by a password, and call with it from now on. */
  obtainToken(credentials: {
    username?: string;
    email?: string;
    password: string;
    name?: string;
    expires_at?: string;
  }): Promise<string>;
  /** Make a call and return the Response, whatever it is. */
  request(
    method: string,
    path: string,
    options?: { body?: unknown; signal?: AbortSignal; headers?: Record<string, string> },
  ): Promise<Response>;
  errorOf(response: Response): Promise<ApiError>;
}

export function csrfToken(): string;

// --- Events ------------------------------------------------------------------------

/** An event as the stream has it; docs/events.md shows the data of each type. */
export interface StreamEvent {
  type: string;
  id?: string;
  data?: any;
}

export interface Target {
  handle(type: string, data: any): unknown;
  inOrder?<Result>(task: () => Result | Promise<Result>): Promise<Result>;
}

export class Stream extends Notices<{
  status: { isLive: boolean; error: Error | null };
  event: StreamEvent;
  refused: ApiError;
  failed: unknown;
}> {
  constructor(api: Api, target: Target, options?: { cursor?: string });
  /** Behind the last event that was handled. */
  readonly cursor: string;
  readonly isLive: boolean;
  start(): void;
  stop(): void;
  /** Connect at once. */
  wake(): void;
  /** Take an event that came by another way, such as from another tab. */
  receive(event: StreamEvent): Promise<void>;
}

export class Frames {
  push(bytes: Uint8Array): Generator<{ type: string; data?: string; id?: string; retry?: number }, void>;
}

// --- Sending -----------------------------------------------------------------------

/** A message on its way. */
export interface OutboxItem {
  client_id: string;
  conversation: string;
  message_body: string;
  sender: Person | null;
  sent_at: string;
  /** Why it was refused, or nothing. */
  reason: string;
}

export interface OutboxStorage {
  read(): OutboxItem[] | Promise<OutboxItem[]>;
  write(items: OutboxItem[]): void | Promise<void>;
}

export class Outbox extends Notices<{
  change: void;
  stored: Message;
  refused: { item: OutboxItem; error: ApiError };
  failed: unknown;
}> {
  constructor(api: Api, options?: { store?: Store | null; storage?: OutboxStorage });
  readonly items: OutboxItem[];
  start(): Promise<void>;
  stop(): void;
  wake(): void;
  waitingIn(conversationId: string): OutboxItem[];
  send(message: { conversation: string; message_body: string; [field: string]: unknown }): OutboxItem;
  retry(item: OutboxItem): OutboxItem;
  discard(item: { client_id: string | null }): void;
}

export function uuid(): string;

// --- State -------------------------------------------------------------------------

export class Store
  extends Notices<{
    change: void;
    message: { conversation: Conversation; message: Message };
    "own message": Message;
    dropped: string;
    closed: { reason: "left" | "missing"; conversation: Conversation | null };
  }>
  implements Target
{
  constructor(
    api: Api,
    options?: {
      inOrder?: <Result>(task: () => Result | Promise<Result>) => Promise<Result>;
      isLookedAt?: (timeline: Timeline) => boolean;
    },
  );
  me: (Person & Record<string, unknown>) | null;
  readonly people: Map<string, Person>;
  readonly conversations: Map<string, Conversation>;
  /** The address of their next page. */
  nextConversations: string | null;
  isLoaded: boolean;
  /** Rises with each change. */
  readonly version: number;
  wanted: string | null;
  target: number | null;
  timeline: Timeline | null;
  readonly timelines: Map<string, Timeline>;
  readonly handlers: Record<string, (data: any, conversation?: Conversation) => unknown>;

  isMe(userId: string): boolean;
  unreadOf(conversation: Conversation): number;
  isRead(message: Message): boolean;
  othersOf(conversation: Conversation): Person[];
  /** The other one of two; nobody in a group. */
  partnerOf(conversation: Conversation): Person | null | undefined;
  readersOf(conversation: Conversation, seq: number): Person[];
  byActivity(): Conversation[];
  openConversation(): Conversation | null | undefined;
  isAtEnd(timeline: Timeline): boolean;

  loadConversations(path?: string): Promise<void>;
  searchAll(
    text: string,
    isWanted?: () => boolean,
  ): Promise<{ text: string; ids: string[]; people: Person[]; messages: Message[]; isAll: boolean }>;
  open(id: string | null | undefined, seq?: number | null): Promise<unknown>;
  markRead(message: Message): Promise<void>;
  markAllRead(conversation: { conversation_id: string }): Promise<void>;
  extend(isOlder: boolean, isWanted?: () => boolean): Promise<void>;

  inOrder<Result>(task: () => Result | Promise<Result>): Promise<Result>;
  handle(type: string, data: any): Promise<unknown>;
  changed(): void;
}

export function nameOf(person: Pick<Person, "first_name" | "last_name" | "username">): string;
export function shortNameOf(person: Pick<Person, "first_name" | "username">): string;
export function firstOf(timeline: Pick<Timeline, "messages">): number;
