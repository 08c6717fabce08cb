/**
 * The receptionist, as one actor sees it. Who is registered stands in shared memory: a word for each offer, with the
 * incarnation that has registered. So a registration ends with its actor, whatever ends it, and no message about it can
 * be lost: everybody sees the change with the next move of the register.
 */
import type { Address, ServiceKey } from '../actor.ts';
import { nearestOf, type Place } from '../system/directory.ts';
import type { ServiceTable } from '../system/thread.ts';
import type { Message } from './asks.ts';
import type { Ticket } from './own-messages.ts';

/** What a listing is made of. */
export type Directory = {
  readonly places: readonly Place[];
  readonly table: ServiceTable;
  readonly words: Int32Array;
  /** The incarnation that serves, or -1 when none does. */
  serving(actor: number): number;
  /** Everybody looks again. */
  stir(): void;
};

/** Who it is, and which services it uses and offers. */
export type ServiceUser = {
  readonly index: number;
  readonly path: string;
  readonly incarnation: number;
  readonly uses: ReadonlySet<string>;
  readonly offers: ReadonlySet<string>;
};

type Subscription = Ticket & {
  readonly key: ServiceKey;
  /** What was told last, or is about to be. */
  told: string;
  inLine: boolean;
};

export class Services {
  private readonly who: ServiceUser;
  private readonly directory: Directory;
  private readonly fire: (message: Message, ticket: Ticket | undefined) => void;
  private readonly subscriptions = new Map<string, Subscription>();
  private readonly addresses = new Map<string, Address>();

  constructor(
    who: ServiceUser,
    directory: Directory,
    fire: (message: Message, ticket: Ticket | undefined) => void,
  ) {
    this.who = who;
    this.directory = directory;
    this.fire = fire;
  }

  /** Subscriptions that a passivation would lose. */
  get pending(): number {
    return this.subscriptions.size;
  }

  register(key: ServiceKey): void {
    this.write(key, this.who.incarnation + 1);
  }

  deregister(key: ServiceKey): void {
    this.write(key, 0);
  }

  find(key: ServiceKey, resume: Message): void {
    this.checkUse(key);
    this.fire(this.filled(key, resume), undefined);
  }

  subscribe(key: ServiceKey, resume: Message): void {
    this.checkUse(key);
    this.unsubscribe(key);
    const subscription: Subscription = {
      key,
      told: '',
      inLine: true,
      withdrawn: false,
      begun: () => {
        subscription.inLine = false;
      },
      message: () => {
        subscription.told = this.state(key);
        return this.filled(key, resume);
      },
    };
    this.subscriptions.set(key.service, subscription);
    this.fire(resume, subscription);
  }

  unsubscribe(key: ServiceKey): void {
    const known = this.subscriptions.get(key.service);
    if (known === undefined) return;
    known.withdrawn = true;
    this.subscriptions.delete(key.service);
  }

  /** The register has moved. */
  check(): void {
    for (const subscription of this.subscriptions.values()) {
      if (subscription.inLine || this.state(subscription.key) === subscription.told) continue;
      subscription.inLine = true;
      this.fire({ kind: '' }, subscription);
    }
  }

  clear(): void {
    for (const subscription of this.subscriptions.values()) subscription.withdrawn = true;
    this.subscriptions.clear();
  }

  private write({ service }: ServiceKey, value: number): void {
    const { table, words } = this.directory;
    const at = table.offers.findIndex((o) => o.service === service && o.actor === this.who.index);
    if (at < 0 || !this.who.offers.has(service)) {
      throw new TypeError(`${this.who.path} does not offer ${service}: name it in \`offers\``);
    }
    Atomics.store(words, at, value);
    this.directory.stir();
  }

  private checkUse({ service }: ServiceKey): void {
    if (this.who.uses.has(service)) return;
    throw new TypeError(`${this.who.path} does not send to ${service}: name it in \`sends\``);
  }

  private listed({ service }: ServiceKey): readonly number[] {
    const { places, table, words } = this.directory;
    const offering = table.offers.flatMap((o) =>
      o.service === service && o.actor !== this.who.index ? o.actor : [],
    );
    const near = new Set(nearestOf(places, this.who.path, offering));
    return table.offers.flatMap((o, k) => {
      if (o.service !== service || !near.has(o.actor)) return [];
      const serves = this.directory.serving(o.actor);
      return serves >= 0 && Atomics.load(words, k) === serves + 1 ? o.actor : [];
    });
  }

  /** What distinguishes one listing from another: who, and in which incarnation. */
  private state(key: ServiceKey): string {
    return this.listed(key)
      .map((actor) => `${actor}:${this.directory.serving(actor)}`)
      .join();
  }

  private filled(key: ServiceKey, resume: Message): Message {
    const listing = this.listed(key).map((actor) => this.addressOf(key, actor));
    return { ...resume, listing } as Message;
  }

  /** One object for each place, so that listings can be compared. */
  private addressOf({ service, declaration }: ServiceKey, index: number): Address {
    const known = this.addresses.get(`${service} ${index}`);
    if (known !== undefined) return known;
    const { actor, path } = this.directory.places[index]!;
    const address = { name: actor, branch: `.${path}`, declaration };
    this.addresses.set(`${service} ${index}`, address);
    return address;
  }
}
