/** What enforces: told what is to be in force, asked what is. */
import type { Result } from '#proto/result.ts';
import type { Entry } from './registry.ts';

export const BACKENDS = ['noop', 'nftables', 'iptables', 'kubernetes'] as const;
export type BackendName = (typeof BACKENDS)[number];

/** Why a backend cannot do what it should; the acknowledgement carries the code. */
export type FaultCode =
  /** The program is not on the PATH. */
  | 'missing-program'
  /** No CAP_NET_ADMIN. */
  | 'no-capability'
  /** The kernel lacks nf_tables, ipset or a match of theirs. */
  | 'no-kernel-support'
  | 'timed-out'
  /** The program said no; the reason is its first line. */
  | 'rejected'
  /** Written, but not there when it was read back. */
  | 'not-verified'
  /** The rule asks for what this backend cannot do. */
  | 'not-enforceable'
  | 'expired'
  /** No kubeconfig that can be used; the reason says what is wrong with it. */
  | 'bad-kubeconfig'
  /** Nobody answers at the address of the API server. */
  | 'unreachable'
  /** Whoever answers there has no certificate that the given authority signed. */
  | 'bad-certificate'
  /** 401: the token or certificate that we show is not known, or not any more. */
  | 'not-authenticated'
  /** 403: the reason names the permission that is missing. */
  | 'no-permission'
  /** 429 or 503, again and again. */
  | 'too-busy'
  /** Others change what we write as fast as we write it. */
  | 'conflict'
  /** Somebody pulled the brake: nothing is enforced. */
  | 'panic'
  | 'kill-switch';

export type Fault = { readonly code: FaultCode; readonly reason: string };

/** Why nothing is enforced, and who wants it so. */
export type Brake = Fault & {
  readonly by: string;
  /** Unix ms; null where nobody has said. */
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
};

/** `reason` of an applied one says how ('noop', 'dry_run'); `code` of a failed one is the backend's. */
export type Applied =
  | { readonly id: string; readonly ok: true; readonly reason: string }
  | { readonly id: string; readonly ok: false; readonly code: string; readonly reason: string };

/** What the firewall itself says. */
export type Census = {
  /** Policies that are in force whole. */
  readonly ids: ReadonlySet<string>;
  /** Elements and rules in what is ours that nobody asked for, or that were altered. */
  readonly foreign: number;
  /** Packets that met one of ours, by what happened to them; those of a dry run passed. */
  readonly packets: { readonly [action in PacketCount]: number };
};
export const PACKET_COUNTS = ['drop', 'reject', 'rate_limit', 'dry_run'] as const;
export type PacketCount = (typeof PACKET_COUNTS)[number];
export const NO_PACKETS: Census['packets'] = { drop: 0, reject: 0, rate_limit: 0, dry_run: 0 };

/** Calls come one at a time. None of them touches what is not ours. */
export type Backend = {
  readonly name: BackendName;
  /** Whether what it needs is there; the reason of a fault says what to do. */
  probe(): Promise<Result<void, Fault>>;
  /**
   * Everything that is to be in force, in one transaction where what enforces has them; whatever else of
   * ours there was is gone.
   */
  restore(entries: readonly Entry[], atMs: number): Promise<readonly Applied[]>;
  /**
   * Brings policies into force and takes others out of it in one transaction, then reads back. One
   * outcome for each of `entries`, then one for each of `gone`, in order; an id that is not there is no error.
   */
  change(
    entries: readonly Entry[],
    gone: readonly string[],
    atMs: number,
  ): Promise<readonly Applied[]>;
  /** Reads the kernel (or whatever enforces). */
  census(atMs: number): Promise<Result<Census, Fault>>;
  /** Removes everything of ours. */
  clear(): Promise<Result<void, Fault>>;
  close(): Promise<void>;
};

export const applied = ({ id, rule }: Entry, how = ''): Applied => ({
  id,
  ok: true,
  reason: rule.guardrails.dry_run === true ? 'dry_run' : how,
});

/** Of policies that are in force no more. */
export const gone = (ids: readonly string[], how = ''): readonly Applied[] =>
  ids.map((id) => ({ id, ok: true, reason: how }));

export const failed = ({ id }: Pick<Entry, 'id'>, { code, reason }: Fault): Applied => ({
  id,
  ok: false,
  code,
  reason,
});
