/** What the windows count apart, and how much they may remember. */
export type WindowSettings = {
  /** Addresses remembered on each side, about 16 KiB each. */
  readonly hostsMax: number;
  /** Conversations followed, 29 bytes each. */
  readonly connectionsMax: number;
  /** Ports where one logs in: FTP, SSH, Telnet, SMTP, POP3, IMAP, SMB, databases, RDP, VNC. */
  readonly authPorts: readonly number[];
  /** UDP services that answer with more than they are asked (CISA alert TA14-017A), and IKE (500, 4500). */
  readonly reflectorPorts: readonly number[];
  /** A smaller datagram amplifies nothing. */
  readonly reflectedPayloadBytesMin: number;
  /** A session that failed to log in is short: payload of its initiator up to this many bytes. */
  readonly authSessionBytesMax: number;
  readonly authSessionSecondsMax: number;
  /** A record is made from so many packets (1 s and 10 s) or new flows (60 s) on. */
  readonly floorPackets: number;
  readonly floorFlows: number;
  /** Packets further back than this belong to another time; so many of them in a row move the clock back. */
  readonly lateMaxS: number;
  readonly lateRunMax: number;
};

export const WINDOW_DEFAULTS: WindowSettings = {
  hostsMax: 2_048,
  connectionsMax: 65_536,
  authPorts: [21, 22, 23, 25, 110, 143, 389, 445, 1433, 3306, 3389, 5432, 5900, 5985],
  reflectorPorts: [
    17, 19, 53, 69, 111, 123, 137, 161, 389, 500, 520, 1900, 3283, 3702, 4500, 5093, 5353, 5683,
    10001, 11211, 27015,
  ],
  reflectedPayloadBytesMin: 64,
  authSessionBytesMax: 8_192,
  authSessionSecondsMax: 30,
  floorPackets: 16,
  floorFlows: 6,
  lateMaxS: 10,
  lateRunMax: 64,
};
