/** The statistics that a rule may name: of a window (counts, ratios) and of a flow (its features). */
import { F, FEATURE_NAMES, FLOW, flowHandshake, HANDSHAKES, WINDOW } from '#proto/flow-batch.ts';

export type WindowStatistic = (view: DataView, row: number) => number;
export type FlowStatistic = (view: DataView, row: number, vector: Float32Array) => number;

const WEB_PORTS: ReadonlySet<number> = new Set([80, 443, 8000, 8008, 8080, 8081, 8443, 8888]);

const get = WINDOW.get;

const atLeastOne = (value: number): number => Math.max(1, value);

/** Connections that were begun and not completed; SYN sent again count again, as they do in a backlog. */
const halfOpen: WindowStatistic = (view, row) =>
  Math.max(0, get.synOnly(view, row) - get.handshakes(view, row));

/** Attempts without success among all conversations that the address began. */
const failedShare: WindowStatistic = (view, row) =>
  Math.min(1, get.failedPairs(view, row) / atLeastOne(get.flows(view, row)));

const isBroadcast: WindowStatistic = (view, row) => {
  const bytes = WINDOW.address.address(view, row);
  for (let i = 10; i < 16; i += 1) if (bytes[i] !== 0xff) return 0;
  return 1;
};

const derived: { readonly [name: string]: WindowStatistic } = {
  halfOpen,
  failedShare,
  isBroadcast,
  /** SYN for each port asked: high at a flood, about 1 at a scan. */
  synPerPort: (view, row) => get.synOnly(view, row) / atLeastOne(get.distinctPorts(view, row)),
  packetsPerPort: (view, row) => get.packets(view, row) / atLeastOne(get.distinctPorts(view, row)),
  synPerHandshake: (view, row) => get.synOnly(view, row) / atLeastOne(get.handshakes(view, row)),
  failedPortsPerPeer: (view, row) =>
    get.failedPairs(view, row) / atLeastOne(get.failedPeers(view, row)),
  /** Conversations with a web service that went beyond a SYN. */
  webConnections: (view, row) => {
    if (!WEB_PORTS.has(get.topPort(view, row))) return 0;
    const begun = Math.max(
      get.handshakes(view, row),
      get.flows(view, row) - get.synOnly(view, row),
    );
    return begun * get.topPortShare(view, row);
  },
  /** Hosts asked in vain for each port asked: a node of a P2P net asks each peer at a port of its own. */
  failedPeersPerPort: (view, row) =>
    get.failedPairs(view, row) / atLeastOne(get.failedPorts(view, row)),
  failedTcpPeersPerPort: (view, row) =>
    get.failedTcpPairs(view, row) / atLeastOne(get.failedTcpPorts(view, row)),
  /** Failed attempts at the port asked most of late. */
  failedPeersOfTopPort: (view, row) => get.failedPairs(view, row) * get.topPortShare(view, row),
  /** TCP conversations seen from their middle only. */
  tcpStrays: (view, row) =>
    get.tcpPackets(view, row) > 0 && get.udpPackets(view, row) === 0
      ? Math.max(0, get.flows(view, row) - get.synOnly(view, row))
      : 0,
};

/** Every numeric field of a window record, and what is derived of them. */
export const WINDOW_STATISTICS: ReadonlyMap<string, WindowStatistic> = new Map([
  ...Object.entries(get),
  ...Object.entries(derived),
]);

const flowDerived: { readonly [name: string]: FlowStatistic } = {
  /** 1 where the handshake was completed. */
  handshake: (view, row) => (flowHandshake(view, row) === HANDSHAKES[2] ? 1 : 0),
  packets: (view, row) => FLOW.get.packets(view, row),
  bytes: (view, row) => FLOW.get.bytes(view, row),
};

/** Every feature of the vector, and a few columns. */
export const FLOW_STATISTICS: ReadonlyMap<string, FlowStatistic> = new Map([
  ...FEATURE_NAMES.map((name): [string, FlowStatistic] => [
    name,
    (_view, _row, vector) => vector[F[name]] ?? 0,
  ]),
  ...Object.entries(flowDerived),
]);
