/** Which names mean this machine and nobody else. */

/** Addresses and names without a port; `[::1]` is written with or without brackets. */
export const isLoopback = (host: string): boolean => {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name);
};

/**
 * Whether a Host header names this machine. A page of a stranger that reaches a loopback server through a name of its
 * own (DNS rebinding) says that name here.
 */
export const namesThisMachine = (header: string): boolean =>
  isLoopback(header.replace(/:\d{1,5}$/, ''));
