/** Brings a checked topology to life: the lock on its data folder, what its actors prepare, the system. */
import type { Observable } from 'rxjs';
import { err, ok, type Result } from '#proto/result.ts';
import type { RuntimeEvent } from '#runtime/events.ts';
import { type Stopped, type System, startSystem } from '#runtime/system.ts';
import type { Topology } from '#runtime/topology/load.ts';
import { systemSpec } from '#runtime/topology/system-spec.ts';
import type { TopologyView } from '#runtime/topology/view.ts';
import { domainModules } from './domain-modules.ts';

export type Launched = {
  readonly system: System;
  readonly events: Observable<RuntimeEvent>;
  /** Resolves with a sentence when the system cannot go on; never otherwise. */
  readonly failed: Promise<string>;
};

type Genesis = { readonly file: string; readonly sha256: string };

/** Calls `prepare` of every actor of the topology that has one; the genesis is what one of them made. */
export const prepareActors = async (
  view: TopologyView,
  actorsRoot: URL,
): Promise<Result<Genesis, string>> => {
  const named = new Set(view.actors.map((one) => one.actor));
  let genesis: Genesis = { file: view.genesis.file, sha256: view.genesis.sha256 };
  for (const [name, module] of await domainModules(actorsRoot, (actor) => named.has(actor))) {
    if (!module.ok) return module;
    const prepared = await module.value.prepare?.(view);
    if (prepared === undefined) continue;
    if (!prepared.ok) return err(`${name}: ${prepared.error}`);
    genesis = prepared.value.genesis ?? genesis;
  }
  return ok(genesis);
};

const CODE = /\bE[A-Z]{4,}\b|address already in use/;
const ADDRESS = /\/ip4\/[\d.]+\/tcp\/\d+|(?:\d+\.){3}\d+:\d+|\[[\da-f:]+\]:\d+|:::\d+/i;

/** An operating system's code in the words of a user; of a longer message the line that holds it. */
export const inWords = (fault: string): string => {
  const lines = fault.split('\n').map((line) => line.trim());
  const said = lines.find((line) => CODE.test(line)) ?? lines.find((line) => line !== '') ?? fault;
  if (/EADDRINUSE|address already in use/i.test(said)) {
    const address = ADDRESS.exec(said)?.[0];
    const where = address === undefined ? 'an address' : `the address ${address}`;
    return `${where} is in use by another program (${said})`;
  }
  if (/EACCES|EPERM/.test(said)) return `permission denied (${said})`;
  if (/ENOSPC/.test(said)) return `the disk is full (${said})`;
  return said;
};

/** Remembers what went wrong last, to name why a system failed. */
const witness = () => {
  let crash = '';
  let supervisor: string | undefined;
  let tell: (text: string) => void = () => undefined;
  const failed = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const because = (): string => (crash === '' ? '' : `; last crash: ${crash}`);
  return {
    failed,
    see: (event: RuntimeEvent): void => {
      if (event.kind === 'crash') crash = `${event.crash.path}: ${inWords(event.crash.error)}`;
      if (event.kind === 'escalated') supervisor = event.path === '' ? 'root' : event.path;
      if (event.kind === 'stuck') {
        tell(`a native call of ${event.paths.join(', ')} does not return: only a restart helps`);
      }
    },
    /** What an error at the start is called: the crash behind it, where there is one. */
    startFault: (error: Error): string => (crash === '' ? inWords(error.message) : crash),
    stopped: ({ reason }: Stopped): void => {
      if (reason !== 'failed') return;
      tell(`the ${supervisor ?? 'root'} supervisor gave up after too many restarts${because()}`);
    },
  };
};

/** Starts the system; the error is a sentence. Every event goes to `watch`, those of the start included. */
export const launchSystem = async (
  topology: Topology,
  genesis: Genesis,
  watch: (event: RuntimeEvent) => void,
): Promise<Result<Launched, string>> => {
  const seen = witness();
  try {
    const system = await startSystem(systemSpec(topology, genesis), (event) => {
      seen.see(event);
      watch(event);
    });
    void system.whenStopped.then(seen.stopped);
    return ok({ system, events: system.events, failed: seen.failed });
  } catch (fault) {
    return err(seen.startFault(fault as Error));
  }
};
