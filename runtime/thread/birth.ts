/** The next life of an actor: its ends of the lanes as its predecessor left them, and its mailbox. */
import { Hand } from '#native/lanes/hand.ts';
import { Lane } from '#native/lanes/lane.ts';
import { compile } from '#native/lanes/layout.ts';
import { openAsksOf } from '../mailbox/asks.ts';
import { poisonOf } from '../mailbox/fall.ts';
import { Mailbox } from '../mailbox/mailbox.ts';
import { Receipts } from '../mailbox/receipts.ts';
import { type OutLane, Routes } from '../mailbox/routes.ts';
import type { Directory } from '../mailbox/services.ts';
import { servicesOf } from '../system/sendings.ts';
import type { Link, ThreadSetup } from '../system/thread.ts';
import type { Host } from './host.ts';
import type { Identity } from './identity.ts';
import type { Loaded } from './loading.ts';
import type { Machine } from './shell.ts';

export type Birthplace = {
  readonly host: Host;
  readonly machine: Machine;
  readonly setup: ThreadSetup;
  readonly links: readonly Link[];
  readonly directory: Directory;
};

const laneOf = ({ setup, machine }: Birthplace, link: Link): Lane => {
  const threadOf = (actor: number): number => setup.places[actor]!.thread;
  const ends = { index: link.from, from: threadOf(link.from), to: threadOf(link.to) };
  return new Lane(link.memory, ends, machine.wakers, machine.pool, link.depthMax);
};

const wordOf = ({ confirmed }: Link): BigInt64Array | undefined =>
  confirmed === undefined ? undefined : new BigInt64Array(confirmed);

/** Where it sends. What the last life had in hand when it died is taken back. */
const outputsOf = (place: Birthplace, index: number, hand: Hand): Map<number, OutLane> => {
  const broken = hand.broken();
  const lanes = new Map<number, OutLane>();
  for (const link of place.links) {
    if (link.from !== index) continue;
    const lane = laneOf(place, link);
    lane.resume(broken);
    const { onFull, answersOnly } = link;
    const confirmed = wordOf(link);
    lanes.set(link.to, { lane, onFull, answersOnly, ...(confirmed && { confirmed }) });
  }
  return lanes;
};

export const mailboxOf = (place: Birthplace, { resident, actor, metrics }: Loaded): Mailbox => {
  const { host, machine, setup, directory } = place;
  const { index, config, module, stashMax } = resident;
  const { path } = setup.places[index]!;
  const received = place.links.filter((link) => link.to === index);
  const hand = new Hand(setup.hands, index);
  const lanes = outputsOf(place, index, hand);
  const poison = poisonOf(hand, received);
  const receipts = new Receipts();
  const inputs = received.map((link) => {
    const lane = laneOf(place, link);
    lane.recover();
    if (lane.index === index) lane.twin = lanes.get(index)?.lane;
    const word = wordOf(link);
    if (word !== undefined) receipts.addSender(link.from, lane.from, word);
    return lane;
  });
  const who: Identity = {
    ...{ index, path, inputs, metrics, hand, receipts, directory, stashMax, module, config },
    incarnation: machine.register.incarnation(index),
    routes: new Routes(setup.places, path, machine.register, lanes),
    openAsks: openAsksOf(setup.openAsks, index),
    ...servicesOf(actor, config),
  };
  const mailbox = new Mailbox(host, who, actor, actor.core.init(config));
  if (poison !== undefined) {
    mailbox.out.readTrace(poison.header, 0);
    const kind = compile(actor.self.declaration).kinds[poison.kind] ?? '';
    host.dead(mailbox, 'poison', `#${poison.from}`, kind);
  }
  return mailbox;
};
