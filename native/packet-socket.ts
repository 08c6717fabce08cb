/**
 * Frames of a network interface (Linux AF_PACKET, packet(7)), both directions, with the kernel's time stamps. Needs
 * CAP_NET_RAW. The socket never blocks, so a thread that reads it can always be stopped.
 */
import { closeSync, readSync } from 'node:fs';
import koffi from 'koffi';

const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK = 3 | 0x800;
const ETH_P_ALL = 3;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
/** Of the last packet read: struct timespec of two 64-bit words. */
const SIOCGSTAMPNS = 0x8907;
const SOCKADDR_LL_BYTES = 20;

/** A frame as large as generic segmentation offload makes them, with its Ethernet header. */
export const FRAME_BYTES_MAX = 65_536 + 18;

export type PacketSocket = {
  /** Reads one frame into `buffer`; its size, or 0 when none waits. */
  read(buffer: Uint8Array): number;
  /** When the kernel received the frame that was read last: microseconds since 1970. */
  timeUs(): number;
  /** Frames that the kernel dropped because nobody read them in time, since the last call. */
  dropped(): number;
  close(): void;
};

const bytesOfU32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};

const bindings = () => {
  const libc = koffi.load(null);
  return {
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    bind: libc.func('int bind(int fd, const uint8_t *address, uint32_t length)'),
    setsockopt: libc.func(
      'int setsockopt(int fd, int level, int option, const uint8_t *value, uint32_t length)',
    ),
    getsockopt: libc.func(
      'int getsockopt(int fd, int level, int option, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    ),
    ioctl: libc.func('int ioctl(int fd, unsigned long request, _Out_ uint8_t *argument)'),
    indexOf: libc.func('uint32_t if_nametoindex(const char *name)'),
  };
};
type Bindings = ReturnType<typeof bindings>;

/** Opens a socket that is bound to one interface; closes it again when that fails. */
const openOn = (libc: Bindings, name: string, bufferBytes: number): number => {
  const index = libc.indexOf(name) as number;
  if (index === 0) throw new Error(`there is no network interface ${name}`);
  const network = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8);
  const fd = libc.socket(AF_PACKET, SOCK_RAW_NONBLOCK, network) as number;
  if (fd < 0) {
    throw new Error(`packets of ${name} cannot be read: run as root or give node CAP_NET_RAW`);
  }
  // Without CAP_NET_ADMIN the buffer keeps the system's size: more is dropped under a flood, and counted.
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytesOfU32(bufferBytes), 4);
  const address = new Uint8Array(SOCKADDR_LL_BYTES);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL, false);
  view.setInt32(4, index, true);
  if ((libc.bind(fd, address, SOCKADDR_LL_BYTES) as number) !== 0) {
    closeSync(fd);
    throw new Error(`the network interface ${name} cannot be listened on`);
  }
  return fd;
};

/** Throws an error that names the interface and the remedy. */
export const openPacketSocket = (name: string, bufferBytes = 8 << 20): PacketSocket => {
  if (process.platform !== 'linux') throw new Error('live capture needs Linux');
  const libc = bindings();
  const fd = openOn(libc, name, bufferBytes);
  const stamp = new Uint8Array(16);
  const stampView = new DataView(stamp.buffer);
  return {
    read: (buffer) => {
      try {
        return readSync(fd, buffer);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN') return 0;
        if (code === 'ENETDOWN') throw new Error(`the network interface ${name} went down`);
        throw error;
      }
    },
    timeUs: () => {
      if ((libc.ioctl(fd, SIOCGSTAMPNS, stamp) as number) !== 0) return Date.now() * 1000;
      const seconds = Number(stampView.getBigInt64(0, true));
      return seconds * 1e6 + Math.floor(Number(stampView.getBigInt64(8, true)) / 1000);
    },
    dropped: () => {
      const counts = new Uint8Array(8);
      libc.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, counts, [8]);
      return new DataView(counts.buffer).getUint32(4, true);
    },
    close: () => closeSync(fd),
  };
};
