/**
 * libp2p as an external mailbox: one long-lived direct stream to each known peer, Noise on TCP, and an
 * allow-list. A peer is its Ed25519 public key: the connection gater sees the key that Noise has
 * authenticated, so an address alone lets nobody in.
 *
 * Bounds: `queueFramesMax` and `queueBytesMax` a peer; at the bound the oldest frame is dropped and
 * counted (its protocol repeats what matters). A frame is at most `frameBytesMax`. Delivery is at
 * most once, in order while a stream lives.
 */
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed, publicKeyFromRaw } from '@libp2p/crypto/keys';
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { lpStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { CONTEXT_BYTES } from '../trace/context.ts';
import { frameOf, tracedProtocol, withContext } from './traced-frame.ts';

export type Peer = {
  /** What the owner calls it: given back with every message. */
  readonly id: string;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
  /** Multiaddr without /p2p, e.g. /ip4/127.0.0.1/tcp/7002. */
  readonly address: string;
};

export type NetworkSettings = {
  /** 32-byte Ed25519 seed: the node's identity. */
  readonly seed: Uint8Array;
  readonly listen: string;
  readonly protocol: string;
  readonly peers: readonly Peer[];
  readonly frameBytesMax: number;
  readonly queueFramesMax: number;
  readonly queueBytesMax: number;
  /** A peer that says nothing for so long is taken for gone and dialled again. */
  readonly silenceMs: number;
  /** False: the owner has no room; the stream is read again when it has. */
  readonly onFrame: (from: string, bytes: Uint8Array, traceparent: string) => boolean;
  readonly onPeer: (id: string, connected: boolean) => void;
  readonly onDropped: (id: string, reason: 'queue-full' | 'refused-peer' | 'bad-frame') => void;
};

export type Network = {
  /** `traceparent` (W3C) travels beside the frame to peers that read it; '' for none. */
  send(to: string, frame: Uint8Array, traceparent?: string): void;
  broadcast(frame: Uint8Array, traceparent?: string): void;
  /** Peers with an open outbound stream. */
  connected(): readonly string[];
  close(): Promise<void>;
};

const DIAL_DEADLINE_MS = 2000;
const WRITE_DEADLINE_MS = 5000;
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 1000;
const NO_ROOM_PAUSE_MS = 5;

/** A pause that ends early when `signal` aborts, or when the wake that `hold` is given is called. */
const pause = (ms: number, signal: AbortSignal, hold?: (wake: () => void) => void): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
    hold?.(done);
  });

/** A frame and the context that it was sent in. */
type Frame = { readonly bytes: Uint8Array; readonly traceparent: string };

type Link = {
  readonly peer: Peer;
  readonly peerId: PeerId;
  readonly queue: Frame[];
  queuedBytes: number;
  connected: boolean;
  heardAtMs: number;
  /** Wakes the writer when the queue was empty. */
  wake: () => void;
};

const enqueue = (link: Link, frame: Frame, settings: NetworkSettings): void => {
  const { queueFramesMax, queueBytesMax } = settings;
  while (
    link.queue.length > 0 &&
    (link.queue.length >= queueFramesMax || link.queuedBytes + frame.bytes.length > queueBytesMax)
  ) {
    link.queuedBytes -= link.queue.shift()!.bytes.length;
    settings.onDropped(link.peer.id, 'queue-full');
  }
  link.queue.push(frame);
  link.queuedBytes += frame.bytes.length;
  link.wake();
};

/** Until a frame is queued or the stream ends (both call `wake`), for `ms` at most. */
const nextFrame = (link: Link, ms: number, closing: AbortSignal): Promise<void> =>
  pause(ms, closing, (wake) => {
    link.wake = wake;
  });

/** Writes the queue into one stream until it breaks, the peer falls silent, or the network closes. */
const pump = async (
  link: Link,
  stream: Stream,
  settings: NetworkSettings,
  closing: AbortSignal,
): Promise<void> => {
  const isTraced = stream.protocol === tracedProtocol(settings.protocol);
  const lp = lpStream(stream, { maxDataLength: settings.frameBytesMax + CONTEXT_BYTES + 1 });
  const opened = performance.now();
  // An idle writer learns of the end of its stream at once, not at its next frame.
  stream.addEventListener('close', () => link.wake());
  stream.addEventListener('remoteCloseWrite', () => stream.abort(new Error('peer left')));
  while (!closing.aborted && stream.status === 'open') {
    const silentMs = performance.now() - Math.max(link.heardAtMs, opened);
    if (silentMs > settings.silenceMs) throw new Error('silent');
    const frame = link.queue.shift();
    if (frame === undefined) {
      await nextFrame(link, settings.silenceMs / 4, closing);
      continue;
    }
    link.queuedBytes -= frame.bytes.length;
    const bytes = isTraced ? withContext(frame) : frame.bytes;
    await lp.write(bytes, { signal: AbortSignal.timeout(WRITE_DEADLINE_MS) });
  }
};

const dial = async (node: Libp2p, link: Link, protocol: string): Promise<Stream> => {
  const signal = AbortSignal.timeout(DIAL_DEADLINE_MS);
  const open = node
    .getConnections(link.peerId)
    .find((connection: Connection) => connection.status === 'open');
  const address = multiaddr(`${link.peer.address}/p2p/${link.peerId.toString()}`);
  const connection = open ?? (await node.dial(address, { signal }));
  return await connection.newStream([tracedProtocol(protocol), protocol], { signal });
};

/** Keeps one outbound stream to a peer for as long as the network is open. */
const keepConnected = async (
  node: Libp2p,
  link: Link,
  settings: NetworkSettings,
  closing: AbortSignal,
): Promise<void> => {
  let retryMs = RETRY_FIRST_MS;
  while (!closing.aborted) {
    let stream: Stream | undefined;
    try {
      stream = await dial(node, link, settings.protocol);
      link.connected = true;
      retryMs = RETRY_FIRST_MS;
      settings.onPeer(link.peer.id, true);
      await pump(link, stream, settings, closing);
    } catch (error) {
      // Unreachable, cut or silent: all the same to us, all retried. A half-dead connection must not be reused.
      stream?.abort(error instanceof Error ? error : new Error(String(error)));
      for (const connection of node.getConnections(link.peerId)) {
        connection.abort(new Error('link failed'));
      }
    }
    if (link.connected) {
      link.connected = false;
      if (!closing.aborted) settings.onPeer(link.peer.id, false);
    }
    await pause(retryMs, closing);
    retryMs = Math.min(retryMs * 2, RETRY_LAST_MS);
  }
};

/** Reads frames of an inbound stream; waits where its owner has no room (TCP then slows the sender). */
const receive = async (
  link: Link,
  stream: Stream,
  settings: NetworkSettings,
  closing: AbortSignal,
): Promise<void> => {
  const isTraced = stream.protocol === tracedProtocol(settings.protocol);
  const extraBytes = isTraced ? CONTEXT_BYTES + 1 : 0;
  const lp = lpStream(stream, { maxDataLength: settings.frameBytesMax + extraBytes });
  try {
    while (!closing.aborted) {
      const read = (await lp.read({ signal: closing })).subarray();
      link.heardAtMs = performance.now();
      const { bytes, traceparent } = isTraced ? frameOf(read) : { bytes: read, traceparent: '' };
      while (!settings.onFrame(link.peer.id, bytes, traceparent) && !closing.aborted) {
        await pause(NO_ROOM_PAUSE_MS, closing);
      }
    }
  } catch (error) {
    const bad = error instanceof Error && error.name === 'InvalidDataLengthError';
    if (bad) settings.onDropped(link.peer.id, 'bad-frame');
    stream.abort(new Error('read failed'));
  }
};

const createNode = async (
  settings: NetworkSettings,
  allowed: (peer: PeerId) => boolean,
): Promise<Libp2p> => {
  const refuses = (peer: PeerId): boolean => {
    if (allowed(peer)) return false;
    settings.onDropped(peer.toString(), 'refused-peer');
    return true;
  };
  return await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', settings.seed),
    addresses: { listen: [settings.listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    // Heartbeats of the protocol above and `silenceMs` tell a dead peer; pings of the layers below would tell it twice.
    streamMuxers: [yamux({ enableKeepAlive: false })],
    connectionMonitor: { enabled: false },
    connectionManager: { inboundConnectionThreshold: 100, maxConnections: 64 },
    connectionGater: {
      denyDialMultiaddr: () => false,
      denyInboundEncryptedConnection: refuses,
      denyOutboundEncryptedConnection: refuses,
    },
  });
};

/** Listens and begins to dial; throws when the address cannot be listened on (its error names it). */
export const openNetwork = async (settings: NetworkSettings): Promise<Network> => {
  const closing = new AbortController();
  const links = settings.peers.map(
    (peer): Link => ({
      peer,
      peerId: peerIdFromPublicKey(publicKeyFromRaw(peer.publicKey)),
      queue: [],
      queuedBytes: 0,
      connected: false,
      heardAtMs: 0,
      wake: () => {},
    }),
  );
  const linkOf = (id: PeerId): Link | undefined => links.find((link) => link.peerId.equals(id));
  const node = await createNode(settings, (id) => linkOf(id) !== undefined);
  await node.handle(
    [tracedProtocol(settings.protocol), settings.protocol],
    async (stream: Stream, connection: Connection) => {
      const link = linkOf(connection.remotePeer);
      if (link === undefined) stream.abort(new Error('unknown peer'));
      else await receive(link, stream, settings, closing.signal);
    },
    { maxInboundStreams: 4 },
  );
  const loops = links.map((link) => keepConnected(node, link, settings, closing.signal));
  return {
    send: (to, bytes, traceparent = '') => {
      const link = links.find((candidate) => candidate.peer.id === to);
      if (link !== undefined) enqueue(link, { bytes, traceparent }, settings);
    },
    broadcast: (bytes, traceparent = '') => {
      for (const link of links) enqueue(link, { bytes, traceparent }, settings);
    },
    connected: () => links.filter((link) => link.connected).map((link) => link.peer.id),
    close: async () => {
      closing.abort();
      await node.stop();
      await Promise.all(loops);
    },
  };
};
