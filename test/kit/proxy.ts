/** A TCP proxy that a test can cut and heal: what stands between two validators. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type TcpProxy = {
  readonly port: number;
  /** Bytes that went through, both ways. */
  carried(): number;
  /** Ends every connection and refuses new ones until `heal`. */
  cut(): void;
  heal(): void;
  close(): Promise<void>;
};

export const openProxy = async (to: number): Promise<TcpProxy> => {
  const sockets = new Set<Socket>();
  let open = true;
  let bytes = 0;
  const server = createServer((inbound) => {
    if (!open) return void inbound.destroy();
    const outbound = connect(to, '127.0.0.1');
    for (const socket of [inbound, outbound]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.on('data', (data: Buffer) => {
        bytes += data.length;
      });
    }
    inbound.on('close', () => outbound.destroy());
    outbound.on('close', () => inbound.destroy());
    inbound.pipe(outbound);
    outbound.pipe(inbound);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const cut = (): void => {
    open = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    carried: () => bytes,
    cut,
    heal: () => {
      open = true;
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
