/** From an address to the lane that leads there, remembered for each actor. */

import type { Lane } from '#native/lanes/lane.ts';
import { compile, type Protocol } from '#native/lanes/layout.ts';
import type { Register } from '#native/lanes/register.ts';
import type { Address } from './actor.ts';
import { type Place, resolve } from './directory.ts';
import type { OnFull } from './spec.ts';

export type Route = {
  /** Index of the actor, -1 when the address finds none. */
  readonly target: number;
  readonly lane: Lane | undefined;
  readonly protocol: Protocol;
  readonly onFull: OnFull;
  incarnation: number;
  gone: boolean;
  /** Words that are kept for answers on the way back, and how many of them open questions may need. */
  readonly answerRoom: number;
  answerWords: number;
};

export type OutLane = {
  readonly lane: Lane;
  readonly onFull: OnFull;
  readonly answersOnly: boolean;
};

export class Routes {
  private readonly byName = new Map<string, Route>();
  private readonly byBranch = new Map<string, Map<string, Route>>();
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
    yield* this.byName.values();
    for (const routes of this.byBranch.values()) yield* routes.values();
  }

  private add(address: Address, routes: Map<string, Route>, key: string): Route {
    const found = resolve(this.places, this.path, address.name, address.branch);
    const target = found.found === 'one' ? found.index : -1;
    const out = this.lanes.get(target);
    const route: Route = {
      target,
      lane: out === undefined || out.answersOnly ? undefined : out.lane,
      protocol: compile(address.declaration),
      onFull: out?.onFull ?? 'backpressure',
      incarnation: target < 0 ? 0 : this.register.incarnation(target),
      gone: target < 0 || this.register.life(target) === 'gone',
      // All lanes of a system are of one size, and keep a quarter.
      answerRoom: out?.lane.quarter ?? 0,
      answerWords: 0,
    };
    routes.set(key, route);
    return route;
  }
}
