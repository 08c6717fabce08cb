/**
 * What kafkajs 2.2.4 needs before it is used; importing this module mends it.
 *
 * - On Node 24 its request queue sets timers with negative delays, which fire every millisecond (tulios/kafkajs#1751):
 *   here a timer is set only when something waits.
 * - Two requests that find a connection closed each opened a socket of their own; the spare one, closed by the broker
 *   when idle, took the good one with it. Here they share one attempt.
 * - A disconnection waited, and then ended whatever socket the connection had by that time, a new one included. Here it
 *   ends at once the socket that it was meant for.
 */
import Connection from 'kafkajs/src/network/connection.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';

const LOOK_AGAIN_MS = 10;

RequestQueue.prototype.scheduleCheckPendingRequests = function (): void {
  if (this.throttleCheckTimeoutId !== null) return;
  const throttledMs = this.throttledUntil - Date.now();
  if (throttledMs <= 0 && this.pending.length === 0) return;
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    },
    throttledMs > 0 ? throttledMs : LOOK_AGAIN_MS,
  );
};

const attempts = new WeakMap<Connection, Promise<boolean>>();
const connectAlone = Connection.prototype.connect;

Connection.prototype.connect = function (): Promise<boolean> {
  const open = attempts.get(this);
  if (open !== undefined) return open;
  const attempt = connectAlone.call(this).finally(() => attempts.delete(this));
  attempts.set(this, attempt);
  return attempt;
};

const CLOSED = 'Closed connection';

Connection.prototype.disconnect = async function (): Promise<boolean> {
  const { socket } = this;
  this.authenticatedAt = null;
  this.connectionStatus = 'disconnected';
  this.requestQueue.destroy();
  this.requestQueue.rejectAll(new Error(CLOSED));
  // Whoever waits for an attempt hears of its end through the error; an open socket has nobody to tell.
  if (socket?.connecting === true) socket.destroy(new Error(CLOSED));
  else socket?.destroy();
  return true;
};
