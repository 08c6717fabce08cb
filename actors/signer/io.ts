/**
 * Key, outbox and ledger. What arrives together is written in one transaction, and told when it is
 * on the disk.
 */
import { join } from 'node:path';
import { crypto, readPrivateKey } from '#native/crypto.ts';
import { messageId } from '#proto/wire/ai-signature.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { SignerConfig } from './config.ts';
import { encodeSigned, type Identity, problemOf, sealed } from './envelope.ts';
import type { Accepted, Commands, Self } from './messages.ts';
import { openSignerStore, type SignerStore } from './store.ts';

const deliver = (port: IoPort<Self>, message: Self): void => {
  // In flight and accepting are bounded far below the mailbox: this cannot happen in a sound
  // system.
  if (!port.deliver(message))
    throw new Error('the mailbox of the signer is full of its own results');
};

/**
 * Collects steps until the thread is free, runs them in one transaction, then delivers what they
 * returned.
 */
const groupCommit = (store: SignerStore, port: IoPort<Self>) => {
  let steps: (() => Self)[] = [];
  let flushing: Promise<void> | undefined;
  const flush = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    const batch = steps;
    steps = [];
    flushing = undefined;
    const results = store.transaction(() => batch.map((one) => one()));
    for (const message of results) deliver(port, message);
  };
  return {
    add: (one: () => Self): Promise<void> => {
      steps.push(one);
      flushing ??= flush();
      return flushing;
    },
    settled: async (): Promise<void> => flushing,
  };
};

export const accept = (
  store: SignerStore,
  identity: Identity,
  { detection, epoch, seq, room, sinceMs }: Commands['accept'],
): Accepted => {
  const contentHash = identity.crypto.sha256(detection.payload);
  const id = messageId(identity.keys.publicKey, contentHash, identity.crypto);
  const common = { id, contentHash, epoch, seq };
  const known = store.find(contentHash);
  if (known !== undefined) {
    store.renumber(known.row, epoch, seq);
    return { ...common, outcome: 'known', row: known.row };
  }
  if (store.isPublished(contentHash, sinceMs)) return { ...common, outcome: 'duplicate' };
  if (!room) return { ...common, outcome: 'refused', reason: 'the outbox is full' };
  const problem = problemOf(detection, identity);
  if (problem !== undefined) return { ...common, outcome: 'refused', reason: problem };
  store.add(contentHash, id, epoch, seq, detection);
  return { ...common, outcome: 'queued', waiting: store.find(contentHash)! };
};

export const sign = (
  store: SignerStore,
  identity: Identity,
  { row, release }: Commands['sign'],
): Extract<Self, { readonly kind: 'signed' }> => {
  const detection = store.content(row);
  if (detection === undefined) throw new Error(`row ${row} of the outbox is gone`);
  store.release(row, release);
  const signed = sealed(detection, release, identity);
  if (!signed.ok) throw new Error(`row ${row} of the outbox: ${signed.error}`);
  return { kind: 'signed', row, ...encodeSigned(signed.value) };
};

/** The number of this life. On a disk that does not take it nothing stays open: it is tried for as long as it takes. */
const begun = (store: SignerStore): ReturnType<SignerStore['incarnation']> => {
  try {
    return store.transaction(store.incarnation);
  } catch (fault) {
    store.close();
    throw fault;
  }
};

export const io: Io<SignerConfig, Self, Commands> = (config, port) => {
  const keys = readPrivateKey(join(port.node.dataDir, 'keys', config.key));
  const identity: Identity = { keys, crypto };
  const store = openSignerStore(join(port.dataDir, 'signer.sqlite'));
  const { instance, first } = begun(store);
  const writes = groupCommit(store, port);
  return {
    commands: {
      load: () => deliver(port, { kind: 'loaded', instance, first, waiting: store.waiting() }),
      accept: (command) =>
        writes.add(() => ({ kind: 'accepted', accepted: accept(store, identity, command) })),
      sign: (command) => writes.add(() => sign(store, identity, command)),
      finish: ({ row, fate, atMs }) =>
        writes.add(() => {
          if (fate === 'published') store.published(row, atMs);
          else store.dropped(row);
          return { kind: 'finished', row, fate };
        }),
      prune: ({ beforeMs, countMax }) => store.transaction(() => store.prune(beforeMs, countMax)),
    },
    close: async () => {
      await writes.settled();
      store.close();
    },
  };
};
