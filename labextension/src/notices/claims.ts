/**
 * Ends that are remembered as told, at most.
 */
const MOST = 200;

/**
 * Ends are told by the page that somebody looks at, else by one that can be seen.
 */
const enum Rank {
  Hidden,
  Visible,
  Focused
}

type Message =
  | {
      readonly kind: 'claim';
      readonly id: string;
      readonly rank: Rank;
      readonly page: string;
    }
  | { readonly kind: 'told'; readonly id: string };

/**
 * Agrees with the other pages of this browser on which of them tells something, and remembers
 * what was told when the page is loaded again.
 *
 * Each page claims what it has heard of; a moment later, the best claim has it. Without a
 * way to the other pages (an old browser), each page tells for itself.
 */
export class Claims {
  /**
   * @param name - The same in all pages that tell the same things.
   */
  constructor(private readonly _name: string) {
    this._told = this._read();
    if (typeof BroadcastChannel !== 'undefined') {
      this._channel = new BroadcastChannel(_name);
      this._channel.onmessage = ({ data }) => this._hear(data as Message);
    }
  }

  /**
   * Claim something of which this page has just heard.
   */
  claim(id: string): void {
    const rank = document.hasFocus()
      ? Rank.Focused
      : document.hidden
        ? Rank.Hidden
        : Rank.Visible;
    this._mine.set(id, rank);
    this._post({ kind: 'claim', id, rank, page: this._page });
  }

  /**
   * Whether this page shall tell what it has claimed; to be asked once, when the claims of
   * the others had time to come.
   */
  take(id: string): boolean {
    const rank = this._mine.get(id);
    const other = this._others.get(id);
    this._mine.delete(id);
    this._others.delete(id);
    // What another page has told since this one was opened is only in the storage, if this
    // page did not run then.
    if (
      rank === undefined ||
      this._told.includes(id) ||
      this._read().includes(id) ||
      (other !== undefined && isBetter(other, { rank, page: this._page }))
    ) {
      return false;
    }
    this._remember(id);
    this._post({ kind: 'told', id });
    return true;
  }

  /**
   * What was told is not true any more, and may be told again.
   */
  forget(id: string): void {
    if (this._told.includes(id)) {
      this._told = this._told.filter(other => other !== id);
      this._write(this._read().filter(other => other !== id));
    }
  }

  dispose(): void {
    this._channel?.close();
  }

  private _hear(message: Message): void {
    if (message.kind === 'told') {
      this._remember(message.id);
      return;
    }
    const { id, page, rank } = message;
    const before = this._others.get(id);
    if (before === undefined || isBetter({ page, rank }, before)) {
      this._others.set(id, { page, rank });
    }
  }

  private _remember(id: string): void {
    this._told = [...this._told, id].slice(-MOST);
    this._write([...this._read().filter(other => other !== id), id]);
  }

  private _post(message: Message): void {
    this._channel?.postMessage(message);
  }

  private _read(): string[] {
    try {
      const told: unknown = JSON.parse(
        window.localStorage.getItem(this._name) ?? '[]'
      );
      return Array.isArray(told) ? told.map(String) : [];
    } catch {
      // No storage, or somebody else's.
      return [];
    }
  }

  private _write(told: readonly string[]): void {
    try {
      window.localStorage.setItem(
        this._name,
        JSON.stringify(told.slice(-MOST))
      );
    } catch {
      // Full, or forbidden: it is remembered until the page is closed.
    }
  }

  private readonly _page = Math.random().toString(36).slice(2);
  private readonly _channel: BroadcastChannel | null = null;
  private readonly _mine = new Map<string, Rank>();
  private readonly _others = new Map<string, IClaim>();
  private _told: string[];
}

interface IClaim {
  readonly rank: Rank;
  readonly page: string;
}

function isBetter(one: IClaim, other: IClaim): boolean {
  return one.rank === other.rank
    ? one.page > other.page
    : one.rank > other.rank;
}
