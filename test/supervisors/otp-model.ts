/**
 * What OTP's supervisor does, told as it happens: processes that are up or away, and supervisors that react one level after
 * the other. Slow and mutable on purpose: the decisions are compared with it.
 */
import type { Reason } from '#supervisors/strategy.ts';
import type { Child, Supervisor } from '#supervisors/tree.ts';

/** gone: never to be started again. */
type State = 'up' | 'ended' | 'gone';

export class OtpModel {
  readonly state = new Map<string, State>();
  /** Set anew by each exit. */
  stopped: string[] = [];
  started: string[] = [];
  escalated: string[] = [];
  system: 'goes on' | 'shutdown' | 'failed' = 'goes on';
  private readonly tree: Supervisor;
  private readonly restarts = new Map<string, number[]>();
  private dead: ReadonlySet<string> = new Set();
  private atMs = 0;

  constructor(tree: Supervisor) {
    this.tree = tree;
    this.each(tree, (child) => this.state.set(child.path, 'up'));
  }

  running(): string[] {
    const found: string[] = [];
    this.each(this.tree, (c) => {
      if (c.kind === 'actor' && this.state.get(c.path) === 'up') found.push(c.path);
    });
    return found;
  }

  exit(paths: readonly string[], reason: Reason, atMs: number): void {
    this.stopped = [];
    this.started = [];
    this.escalated = [];
    this.atMs = atMs;
    this.dead = new Set(paths);
    const parent = this.parent(paths[0]!)!;
    this.terminated(
      parent,
      parent.children.filter((c) => paths.includes(c.path)),
      reason,
    );
  }

  /** Children of a supervisor have ended by themselves. */
  private terminated(of: Supervisor, dead: readonly Child[], reason: Reason): void {
    for (const child of dead) this.bringDown(child, reason === 'halt' ? 'gone' : 'ended');
    const again = dead.filter((c) => {
      if (reason === 'halt' || c.restart === 'temporary') return false;
      return c.restart === 'permanent' || reason === 'crash';
    });
    for (const c of dead) if (c.restart === 'temporary') this.bringDown(c, 'gone');
    const left = dead.filter((c) => !again.includes(c));
    if (left.some((c) => c.significant) && this.endsItself(of, again))
      return this.ends(of, 'normal');
    if (again.length === 0) return;
    const since = this.atMs - of.intensity.periodS * 1000;
    const times = [...(this.restarts.get(of.path) ?? []), this.atMs].filter((t) => t > since);
    this.restarts.set(of.path, times);
    if (times.length > of.intensity.restarts) {
      this.restarts.set(of.path, []);
      this.escalated.push(of.path);
      return this.ends(of, 'crash');
    }
    const first = Math.min(...again.map((c) => of.children.indexOf(c)));
    for (const [k, child] of of.children.entries()) {
      const inGroup =
        of.strategy === 'one_for_all' || (of.strategy === 'rest_for_one' && k >= first);
      if (!again.includes(child) && !inGroup) continue;
      const stays = child.restart === 'temporary' && !again.includes(child);
      this.bringDown(child, stays ? 'gone' : 'ended');
      if (!stays) this.bringUp(child);
    }
  }

  private endsItself(of: Supervisor, again: readonly Child[]): boolean {
    if (of.autoShutdown === 'never') return false;
    if (of.autoShutdown === 'any_significant') return true;
    const isActive = (c: Child): boolean => this.state.get(c.path) === 'up' || again.includes(c);
    return !of.children.some((c) => c.significant && isActive(c));
  }

  private ends(of: Supervisor, reason: Reason): void {
    const parent = this.parent(of.path);
    if (parent !== undefined) return this.terminated(parent, [of], reason);
    this.bringDown(of, 'gone');
    this.started = [];
    this.system = reason === 'crash' ? 'failed' : 'shutdown';
  }

  private bringDown(child: Child, to: 'ended' | 'gone'): void {
    this.each(child, (c) => {
      const was = this.state.get(c.path);
      if (was === 'up' && c.kind === 'actor' && !this.dead.has(c.path)) this.stopped.push(c.path);
      if (was !== 'gone') this.state.set(c.path, to);
    });
  }

  private bringUp(child: Child): void {
    this.each(child, (c) => {
      if (this.state.get(c.path) === 'gone') return;
      this.state.set(c.path, 'up');
      if (c.kind === 'actor') this.started.push(c.path);
    });
  }

  private each(child: Child, look: (child: Child) => void): void {
    look(child);
    if (child.kind === 'supervisor') for (const inner of child.children) this.each(inner, look);
  }

  private parent(path: string, from: Supervisor = this.tree): Supervisor | undefined {
    if (from.children.some((c) => c.path === path)) return from;
    for (const c of from.children) {
      const found = c.kind === 'supervisor' ? this.parent(path, c) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
