/** The agent with its real disk and its real firewall in a namespace; the bus is played by the test. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { config } from '#actors/enforcer/config.ts';
import { type Commands, createCore, type Self } from '#actors/enforcer/core.ts';
import { io } from '#actors/enforcer/io.ts';
import { crypto } from '#native/crypto.ts';
import type { Genesis } from '#proto/genesis.ts';
import { decodeAck, type PolicyAckEvent } from '#proto/wire/ack.ts';
import type { MessageOf } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import { encodeRecords } from '#runtime/bus/record.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import { portOf } from '#test/kit/executor-host.ts';

export type Agent = {
  /** Policies arrive on the bus; resolves when all that follows has happened. */
  readonly receive: (...values: readonly Uint8Array[]) => Promise<void>;
  readonly tell: (message: Self) => Promise<void>;
  /** Acknowledgements since the last call: result and code. */
  readonly acks: () => readonly string[];
  readonly ackIds: readonly string[];
  /** Answers since the last call. */
  readonly replies: () => readonly unknown[];
  readonly close: () => Promise<void>;
};

type AgentOptions = {
  readonly dataDir: string;
  readonly genesis: Genesis;
  readonly keyFile: string;
  readonly netns: string;
  readonly now: () => number;
  readonly settings?: z.input<typeof config>;
  /** The agent dies instead of carrying this out: nothing of it happens, and nothing after it. */
  readonly diesBefore?: (one: Recorded) => boolean;
};

export const agentIn = async (options: AgentOptions): Promise<Agent> => {
  const { dataDir, genesis, keyFile: key, netns, now } = options;
  const settings = config.parse({
    backend: 'nftables',
    key,
    netns,
    failsafePorts: ['tcp/2222'],
    ...options.settings,
  });
  mkdirSync(path.join(dataDir, 'enforcer'), { recursive: true });
  const mailbox: Self[] = [];
  const port = { ...portOf<Self>(dataDir, genesis, mailbox), now };
  const adapter = await io(settings, { ...port, dataDir: path.join(dataDir, 'enforcer') });
  const core = createCore(crypto);
  const state = core.init(settings);
  const fx = recorder<Self, Commands>();
  const said: PolicyAckEvent[] = [];
  const ids: string[] = [];
  const replies: unknown[] = [];
  let offset = 0;

  const carryOut = async (one: Recorded): Promise<void> => {
    if (one.effect === 'io') {
      const run = adapter.commands[one.command as keyof Commands];
      await (run as (argument: unknown) => void | Promise<void>)(one.argument);
    }
    if (one.effect === 'reply') replies.push(one.answer);
    if (one.effect !== 'ask') return;
    const message = one.message as MessageOf<(typeof bus)['declaration']>;
    if (message.kind !== 'publish') return;
    const ack = decodeAck(message.value);
    if (!ack.ok) throw new Error(ack.error.detail);
    said.push(ack.value);
    ids.push(ack.value.ackEventId);
    const value = { outcome: 'ok', partition: 0, offset: 0 } as const;
    mailbox.push({
      ...(one.resume as { kind: 'published'; id: string }),
      result: { ok: true, value },
    });
  };
  const settle = async (): Promise<void> => {
    for (;;) {
      for (const one of fx.take()) {
        if (options.diesBefore?.(one) === true) throw new Error('the agent is dead');
        await carryOut(one);
      }
      const message = mailbox.shift();
      if (message === undefined) return;
      core.step(state, message, fx, now());
    }
  };
  core.start?.(state, fx, now());
  await settle();
  return {
    receive: async (...values) => {
      const records = values.map((value) => {
        return { partition: 0, offset: offset++, timestampMs: now(), key: '', headers: {}, value };
      });
      const fetched = {
        outcome: 'ok',
        records: encodeRecords(records),
        positions: [offset],
      } as const;
      mailbox.push({ kind: 'fetched', result: { ok: true, value: fetched } });
      await settle();
    },
    tell: async (message) => {
      mailbox.push(message);
      await settle();
    },
    acks: () => said.splice(0).map((one) => `${one.result} ${one.errorCode}`.trim()),
    ackIds: ids,
    replies: () => replies.splice(0),
    close: async () => adapter.close?.(),
  };
};
