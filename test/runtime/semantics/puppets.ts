/** The test's end of its puppets. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, vi } from 'vitest';
import type { ActorSpec, ChildSpec, SystemSpec } from '#runtime/spec.ts';
import { actor, type TestSystem, testSystem, until } from '#test/kit/system.ts';
import type { Hands } from './fixtures/puppet.ts';

/** Patience for a hang: a machine under load starts threads slowly. */
const PATIENCE_MS = 40_000;
vi.setConfig({ testTimeout: 3 * PATIENCE_MS });

export type Step = (hands: Hands) => void;
export type Said = { readonly from: string; readonly tag: string; readonly data: never };

type Given = Partial<Omit<ActorSpec, 'kind' | 'config'>> & {
  readonly sends?: readonly string[];
  readonly on?: { readonly [kind: string]: Step };
  readonly provider?: boolean;
  readonly hangs?: boolean;
};

export type Theatre = {
  readonly system: TestSystem;
  readonly said: readonly Said[];
  /** Runs a step in the actor of that name. */
  run(name: string, step: Step): void;
  /** What was said with this tag, by this actor if it is named. */
  heard(tag: string, from?: string): readonly Said[];
  /** Waits for the n-th of these (1 = the first). */
  wait(tag: string, n?: number, from?: string): Promise<Said>;
  until: TestSystem['until'];
  end(): Promise<void>;
};

/** A puppet; `name` is also what `run` and `said` call it. */
export const puppet = (name: string, given: Given = {}): ActorSpec => {
  const { sends = [], on = {}, provider, hangs = false, ...rest } = given;
  const sources = Object.fromEntries(Object.entries(on).map(([kind, step]) => [kind, `${step}`]));
  const file = provider ? 'provider' : 'puppet';
  return actor(name, new URL(`./fixtures/${file}.ts`, import.meta.url), {
    config: { channel: '', path: name, log: '', sends, on: sources, hangs },
    ...rest,
  });
};

const connected = (spec: ChildSpec, channel: string, dataDir: string): ChildSpec => {
  if (spec.kind === 'actor') {
    const { config, name } = spec;
    const log = join(dataDir, `${name}.log`);
    return { ...spec, config: { ...(config as object), channel, path: name, log } };
  }
  return { ...spec, children: spec.children.map((child) => connected(child, channel, dataDir)) };
};

export const theatre = async (
  children: readonly ChildSpec[],
  given: Partial<Omit<SystemSpec, 'root'>> = {},
): Promise<Theatre> => {
  const channel = randomUUID();
  const wire = new BroadcastChannel(channel);
  const dataDir = mkdtempSync(join(tmpdir(), 'cybermesh-'));
  const said: Said[] = [];
  wire.onmessage = (event) => {
    const data = event.data as { said?: Said };
    if (data.said !== undefined) said.push(data.said);
  };
  const system = await testSystem(
    children.map((child) => connected(child, channel, dataDir)),
    { ...given, dataDir },
  );
  const heard = (tag: string, from?: string): readonly Said[] =>
    said.filter((one) => one.tag === tag && (from === undefined || one.from === from));
  const wait: Theatre['wait'] = (tag, n = 1, from) =>
    until(() => heard(tag, from)[n - 1], PATIENCE_MS);
  return {
    system,
    said,
    run: (name, step) => wire.postMessage({ for: name, run: `${step}` }),
    heard,
    wait,
    until: (look, ms = PATIENCE_MS) => until(look, ms),
    end: async () => {
      wire.close();
      await system.end();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
};

/** A theatre that closes when its test is over, for tests that run side by side. */
export const staged = async (
  { onTestFinished }: TestContext,
  ...given: Parameters<typeof theatre>
): Promise<Theatre> => {
  const stage = await theatre(...given);
  onTestFinished(() => stage.end());
  return stage;
};
