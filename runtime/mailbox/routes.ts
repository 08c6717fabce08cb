/** From an address to the lane that leads there, remembered for each actor. */

import type { Lane } from '#native/lanes/lane.ts';
import { compile, type Protocol } from '#native/lanes/layout.ts';
import type { Register } from '#native/lanes/register.ts';
import type { Address } from '../actor.ts';
import type { OnFull } from '../spec.ts';
import { type Place, type PoolPlace, resolve } from '../system/directory.ts';
import { hashOf, nextInTurn, rendezvous } from './router.ts';

export type Route = {
  /** Index of the actor, -1 when the address finds none, or a pool. */
  readonly target: number;
  readonly lane: Lane | undefined;
  readonly protocol: Protocol;
  readonly onFull: OnFull;
  incarnation: number;
  gone: boolean;
  readonly answers: AnswerRoom;
  /** The last number that this receiver has confirmed, where deliveries travel. */
  readonly confirmed: BigInt64Array | undefined;
  /** The address is a pool: the message goes to one of these, or to all. */
  readonly pool: Pool | undefined;
};

/** Words that are kept for answers on the way back, and how many of them open questions may need. */
export type AnswerRoom = { readonly words: number; bespoken: number };

export type OutLane = {
  readonly lane: Lane;
  readonly onFull: OnFull;
  readonly answersOnly: boolean;
  readonly confirmed?: BigInt64Array;
};

/** A pool as one sender sees it. */
export class Pool {
  readonly place: PoolPlace;
  readonly members: readonly Route[];
  private last = -1;
  private readonly usable = (member: number): boolean => !this.members[member]!.gone;

  constructor(place: PoolPlace, members: readonly Route[]) {
    this.place = place;
    this.members = members;
  }

  /** The members that a message is for; none when all have ended for good. */
  receivers(message: object): readonly Route[] {
    const { route, by = '' } = this.place;
    const { length } = this.members;
    if (route === 'broadcast') return this.members.filter((member) => !member.gone);
    const key = (message as { readonly [field: string]: unknown })[by];
    const at =
      route === 'consistent-hash'
        ? rendezvous(hashOf(key), length, this.usable)
        : nextInTurn(this.last, length, this.usable);
    if (at < 0) return [];
    this.last = at;
    return [this.members[at]!];
  }
}

export class Routes {
  private readonly byName = new Map<string, Route>();
  private readonly byBranch = new Map<string, Map<string, Route>>();
  private readonly answerRooms = new Map<number, AnswerRoom>();
  /** The two that were asked for last: most steps write to no more. */
  private lastAddress: Address | undefined;
  private lastRoute: Route | undefined;
  private olderAddress: Address | undefined;
  private olderRoute: Route | undefined;
  private readonly places: readonly Place[];
  private readonly path: string;
  private readonly register: Register;
  /** By index of the receiving actor. */
  readonly lanes: ReadonlyMap<number, OutLane>;

  constructor(
    places: readonly Place[],
    path: string,
    register: Register,
    lanes: ReadonlyMap<number, OutLane>,
  ) {
    this.places = places;
    this.path = path;
    this.register = register;
    this.lanes = lanes;
  }

  to(address: Address): Route {
    if (address === this.lastAddress) return this.lastRoute!;
    const route = address === this.olderAddress ? this.olderRoute! : this.find(address);
    this.olderAddress = this.lastAddress;
    this.olderRoute = this.lastRoute;
    this.lastAddress = address;
    this.lastRoute = route;
    return route;
  }

  private find(address: Address): Route {
    const { name, branch } = address;
    if (branch === undefined) return this.byName.get(name) ?? this.add(address, this.byName, name);
    let routes = this.byBranch.get(branch);
    if (routes === undefined) {
      routes = new Map();
      this.byBranch.set(branch, routes);
    }
    return routes.get(name) ?? this.add(address, routes, name);
  }

  /** Reads the register again after its epoch has moved. */
  refresh(): void {
    for (const route of this.all()) {
      if (route.target < 0) continue;
      route.incarnation = this.register.incarnation(route.target);
      route.gone = this.register.life(route.target) === 'gone';
    }
  }

  private *all(): Generator<Route> {
    for (const route of this.byName.values()) yield* withMembers(route);
    for (const routes of this.byBranch.values()) {
      for (const route of routes.values()) yield* withMembers(route);
    }
  }

  private add(address: Address, routes: Map<string, Route>, key: string): Route {
    const found = resolve(this.places, this.path, address.name, address.branch);
    const route =
      found.found === 'pool'
        ? this.poolRoute(address, found.members, found.pool)
        : this.routeTo(found.found === 'one' ? found.index : -1, address);
    routes.set(key, route);
    return route;
  }

  private routeTo(target: number, { declaration }: Address): Route {
    const out = this.lanes.get(target);
    return {
      target,
      lane: out === undefined || out.answersOnly ? undefined : out.lane,
      protocol: compile(declaration),
      onFull: out?.onFull ?? 'backpressure',
      incarnation: target < 0 ? 0 : this.register.incarnation(target),
      gone: target < 0 || this.register.life(target) === 'gone',
      answers: this.answersOf(target, out),
      confirmed: out?.confirmed,
      pool: undefined,
    };
  }

  /** One for each actor, whatever addresses lead to it. All lanes of a system are of one size, and keep a quarter. */
  private answersOf(target: number, out: OutLane | undefined): AnswerRoom {
    const known = this.answerRooms.get(target);
    if (known !== undefined) return known;
    const room = { words: out?.lane.quarter ?? 0, bespoken: 0 };
    this.answerRooms.set(target, room);
    return room;
  }

  private poolRoute(address: Address, members: readonly number[], place: PoolPlace): Route {
    const pool = new Pool(
      place,
      members.map((index) => this.routeTo(index, address)),
    );
    return { ...this.routeTo(-1, address), gone: false, pool };
  }
}

function* withMembers(route: Route): Generator<Route> {
  yield route;
  if (route.pool !== undefined) yield* route.pool.members;
}
