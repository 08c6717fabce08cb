/** The replica's contact with the world: its disk and its peers. Frames are decoded here, once. */
import { isAbsolute, join } from 'node:path';
import { crypto, readPrivateKey, readSeed } from '#native/crypto.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { hex } from '#proto/bytes.ts';
import { type Committee, validatorId } from '#proto/consensus/committee.ts';
import {
  type GenesisClaim,
  peerSetHash,
  verifyGenesisCertificate,
} from '#proto/consensus/genesis-ready.ts';
import { decodeMessage, MESSAGE_BYTES_MAX } from '#proto/consensus/messages.ts';
import { configHash, genesisCommittee } from '#proto/genesis.ts';
import { headerOfGenesis } from '#proto/genesis-state.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import { type Network, openNetwork, type Peer } from '#runtime/p2p/network.ts';
import type { ReplicaConfig } from './config.ts';
import type { Commands, Self } from './messages.ts';
import { openReplicaStore, type ReplicaStore } from './store.ts';

const SILENCE_FACTOR = 3;

const peersOf = (config: ReplicaConfig, committee: Committee, self: string): readonly Peer[] =>
  committee.validators
    .filter(({ id }) => id !== self)
    .map(({ id, name, publicKey }) => {
      const address = config.peers[name];
      if (address === undefined) {
        throw new Error(`config.peers names no address for validator ${name} of the genesis file`);
      }
      return { id, publicKey, address };
    });

const keyFile = (config: ReplicaConfig, port: IoPort<Self>): string =>
  isAbsolute(config.key) ? config.key : join(port.node.dataDir, 'keys', config.key);

/** Who this replica is; a key that genesis does not know by this name is refused. */
const identityOf = (config: ReplicaConfig, port: IoPort<Self>, committee: Committee) => {
  const file = keyFile(config, port);
  const pair = readPrivateKey(file);
  const id = validatorId(pair.publicKey, crypto);
  const validator = committee.validators.find((one) => one.name === config.name);
  if (validator?.id !== id) {
    throw new Error(
      `${file} is not the key that the genesis file has for validator ${config.name}`,
    );
  }
  return { id, sign: pair.sign, seed: readSeed(file) };
};

/**
 * The certificate of an earlier start. One of another configuration means that the genesis file or the data folder has
 * been exchanged: with it this validator would vote in a chain that its committee has not agreed on.
 */
const keptCertificate = (store: ReplicaStore, claim: GenesisClaim, committee: Committee) => {
  const certificate = store.certificate();
  if (certificate === null) return null;
  const verified = verifyGenesisCertificate(certificate, claim, { committee, crypto });
  if (verified.ok) return certificate;
  throw new Error(
    verified.error === 'config-hash'
      ? `config hash differs: this data folder began with the genesis ${certificate.configHash}, the genesis file has ${claim.configHash}`
      : `the genesis certificate of this data folder does not verify: ${verified.error}`,
  );
};

type Deliver = (message: Self) => void;

/** The streams to the other validators; what they say is decoded before it becomes a message. */
const peerNetwork = (
  config: ReplicaConfig,
  port: IoPort<Self>,
  self: { readonly seed: Uint8Array; readonly peers: readonly Peer[] },
  deliver: Deliver,
): Promise<Network> =>
  openNetwork({
    seed: self.seed,
    listen: config.listen,
    protocol: config.protocol,
    peers: self.peers,
    frameBytesMax: MESSAGE_BYTES_MAX,
    queueFramesMax: config.queueFramesMax,
    queueBytesMax: config.queueBytesMax,
    // A suspected peer may just be busy: dialling it anew would cost both of us more.
    silenceMs: SILENCE_FACTOR * config.heartbeatMs * config.heartbeatsMissedMax,
    onFrame: (from, bytes, traceparent) => {
      const message = decodeMessage(bytes);
      if (message.ok) {
        return port.deliver({ kind: 'heard', from, message: message.value }, traceparent);
      }
      port.emit('frames_refused', 1);
      port.log('warn', 'a peer sent what is no message', { peer: from, reason: message.error });
      return true;
    },
    onPeer: (id, connected) => deliver({ kind: 'peer', id, connected }),
    onDropped: (id, reason) => {
      port.emit(`frames_dropped_${reason.replace('-', '_')}`, 1);
      if (reason === 'refused-peer') port.log('warn', 'a stranger was refused', { peer: id });
    },
  });

type Write = Commands['persist'];

/** Records of one moment cost one fsync: the newest holds what the earlier ones said. */
const joinedWrites = (store: ReplicaStore, deliver: Deliver) => {
  let waiting: Write[] = [];
  let writing: Promise<void> | undefined;
  const write = (): void => {
    const work = waiting;
    waiting = [];
    writing = undefined;
    const newest = work.at(-1);
    if (newest === undefined) return;
    const blocks = work.flatMap(({ block }) => (block === null ? [] : [block]));
    store.write(newest.record, blocks);
    deliver({ kind: 'persisted', seq: newest.seq });
  };
  return (work: Write): Promise<void> => {
    waiting.push(work);
    writing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          write();
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
    return writing;
  };
};

export const io: Io<ReplicaConfig, Self, Commands> = async (config, port) => {
  const genesis = readGenesis(port.node.genesis);
  const committee = genesisCommittee(genesis, crypto);
  const self = identityOf(config, port, committee);
  const store = openReplicaStore(join(port.dataDir, 'safety.sqlite'), crypto);
  const claim = {
    chainId: committee.chainId,
    configHash: hex(configHash(genesis, crypto)),
    peerSetHash: peerSetHash(committee, crypto),
  };
  const certificate = keptCertificate(store, claim, committee);
  const deliver: Deliver = (message) => {
    // Losing the word that a record is durable would stop the replica for good.
    if (!port.deliver(message)) throw new Error('the mailbox of the replica is full');
  };
  const peers = peersOf(config, committee, self.id);
  const network = await peerNetwork(config, port, { seed: self.seed, peers }, deliver);
  return {
    commands: {
      load: () =>
        deliver({
          kind: 'opened',
          id: self.id,
          sign: self.sign,
          committee,
          genesis: headerOfGenesis(genesis, crypto),
          configHash: claim.configHash,
          certificate,
          acceptanceSkewMs: genesis.parameters.acceptanceSkewMs,
          blockTxMax: genesis.parameters.blockTxMax,
          blockBytesMax: genesis.parameters.blockBytesMax,
          ...store.load(),
        }),
      persist: joinedWrites(store, deliver),
      keepCertificate: (one) => {
        store.keepCertificate(one);
        deliver({ kind: 'certificateKept' });
      },
      send: ({ to, frame }) => {
        const traceparent = port.traceparent();
        if (to === null) network.broadcast(frame, traceparent);
        else network.send(to, frame, traceparent);
      },
    },
    close: async () => {
      await network.close();
      store.close();
    },
  };
};
