/** The test's end of the driver actor. */
import { randomUUID } from 'node:crypto';
import type { ActorSpec } from '#runtime/spec.ts';
import { actor, until } from '#test/kit/system.ts';
import type { Order } from './fixtures/driver.ts';

export type Said = { readonly tag: string; readonly result?: unknown; readonly atMs?: number };

export const fixture = (file: string): URL => new URL(`./fixtures/${file}.ts`, import.meta.url);

export type Driver = {
  readonly spec: ActorSpec;
  readonly said: readonly Said[];
  run(...orders: Order[]): void;
  /** The n-th thing said with this tag (1 = the first). */
  heard(tag: string, n?: number, ms?: number): Promise<Said>;
  close(): void;
};

export const openDriver = (
  name = 'driver',
  sends: readonly string[] = [''],
  given: Partial<ActorSpec> = {},
): Driver => {
  const channel = randomUUID();
  const wire = new BroadcastChannel(channel);
  const said: Said[] = [];
  wire.onmessage = (event) => {
    const data = event.data as { said?: Said };
    if (data.said !== undefined) said.push(data.said);
  };
  const { kind: _kind, name: _name, module: _module, ...rest } = given;
  return {
    spec: actor(name, fixture('driver'), { config: { channel, sends }, ...rest, actor: 'driver' }),
    said,
    run: (...orders) => wire.postMessage({ orders }),
    heard: (tag, n = 1, ms = 20_000) => until(() => said.filter((s) => s.tag === tag)[n - 1], ms),
    close: () => wire.close(),
  };
};
