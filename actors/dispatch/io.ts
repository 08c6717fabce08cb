/** The validator's key, and how far dispatch has come, in a store of its own. */
import { isAbsolute, join } from 'node:path';
import { readPrivateKey } from '#native/crypto.ts';
import { openStore } from '#native/store.ts';
import { signControl } from '#proto/wire/control.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { DispatchConfig } from './config.ts';
import type { Commands, Progress, Self } from './state.ts';

const MIGRATIONS = [
  'CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL) STRICT;',
];

const deliver = (port: IoPort<Self>, message: Self): void => {
  if (!port.deliver(message)) throw new Error('dispatch does not take its own results');
};

export const io: Io<DispatchConfig, Self, Commands> = (config, port) => {
  const { key: name } = config;
  const path = isAbsolute(name) ? name : join(port.node.dataDir, 'keys', name);
  const key = readPrivateKey(path);
  const producerId = key.publicKey;
  const store = openStore(join(port.dataDir, 'dispatch.sqlite'), { migrations: MIGRATIONS });
  const load = store.statement<[], { json: string }>('SELECT json FROM progress');
  const save = store.statement<[string]>(
    'INSERT INTO progress VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET json = excluded.json',
  );
  const progress = (): Progress => {
    const row = load.get();
    return row === undefined ? { height: 0, done: [] } : (JSON.parse(row.json) as Progress);
  };
  return {
    commands: {
      open: () => deliver(port, { kind: 'opened', publicKey: key.publicKey, progress: progress() }),
      sign: ({ job, notice }) => {
        const value =
          notice.kind === 'commit'
            ? signControl('commit', { ...notice.message, producerId }, key.sign)
            : signControl('policy-update', { ...notice.message, producerId }, key.sign);
        deliver(port, { kind: 'signed', job, value });
      },
      save: (one) => {
        save.run(JSON.stringify(one));
      },
    },
    close: () => store.close(),
  };
};
