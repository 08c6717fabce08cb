/** Lines of CSV (RFC 4180 without line breaks in a cell), points in time and addresses as text. */

/** Longest line that is read; a longer one is malformed. */
export const LINE_BYTES_MAX = 65_536;

export const cellsOf = (line: string): string[] => {
  if (!line.includes('"')) return line.split(',');
  const cells: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] !== '"') {
      const comma = line.indexOf(',', at);
      const end = comma === -1 ? line.length : comma;
      cells.push(line.slice(at, end));
      at = end + 1;
      continue;
    }
    let cell = '';
    at += 1;
    for (;;) {
      const quote = line.indexOf('"', at);
      if (quote === -1) return [];
      cell += line.slice(at, quote);
      at = quote + 1;
      if (line[at] !== '"') break;
      cell += '"';
      at += 1;
    }
    cells.push(cell);
    if (at < line.length && line[at] !== ',') return [];
    at += 1;
  }
  return cells;
};

const ISO = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|\+00(?::?00)?)?$/;
/** As CICFlowMeter writes it: day first. */
const SLASHED =
  /^(\d{1,2})\/(\d{1,2})\/(\d{4}) (\d{1,2}):(\d\d)(?::(\d\d))?(?:\.(\d{1,9}))?(?: ([AP]M))?$/i;
const EPOCH = /^\d{9,19}(?:\.\d+)?$/;

const microseconds = (fraction: string | undefined): number =>
  fraction === undefined ? 0 : Number(fraction.slice(0, 6).padEnd(6, '0'));

/** Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size. */
const fromEpoch = (text: string): number => {
  const value = Number(text);
  if (value < 1e11) return Math.floor(value * 1e6);
  if (value < 1e14) return Math.floor(value * 1e3);
  return value < 1e17 ? Math.floor(value) : Math.floor(value / 1e3);
};

/** Microseconds since 1970 (UTC where no zone is given), or NaN. */
export const timeOf = (text: string): number => {
  const iso = ISO.exec(text);
  if (iso !== null) {
    const [, year, month, day, hour, minute, second, fraction] = iso;
    const ms = Date.UTC(+year!, +month! - 1, +day!, +hour!, +minute!, +second!);
    return ms * 1000 + microseconds(fraction);
  }
  const slashed = SLASHED.exec(text);
  if (slashed !== null) {
    const [, day, month, year, hour, minute, second, fraction, half] = slashed;
    let hours = Number(hour);
    if (half !== undefined) hours = (hours % 12) + (half.toUpperCase() === 'PM' ? 12 : 0);
    const ms = Date.UTC(+year!, +month! - 1, +day!, hours, +minute!, Number(second ?? 0));
    return ms * 1000 + microseconds(fraction);
  }
  return EPOCH.test(text) ? fromEpoch(text) : Number.NaN;
};

const put4 = (text: string, out: Uint8Array, at: number): boolean => {
  const parts = text.split('.');
  if (parts.length !== 4) return false;
  for (let i = 0; i < 4; i++) {
    const part = parts[i] ?? '';
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return false;
    out[at + i] = Number(part);
  }
  return true;
};

/** Writes the 16 bytes of an address (IPv4 as ::ffff:a.b.c.d); false where the text is none. */
export const putAddress = (text: string, out: Uint8Array): boolean => {
  out.fill(0);
  if (!text.includes(':')) {
    out[10] = out[11] = 0xff;
    return put4(text, out, 12);
  }
  let head = text;
  let words = 8;
  const lastColon = text.lastIndexOf(':');
  if (text.includes('.')) {
    if (!put4(text.slice(lastColon + 1), out, 12)) return false;
    head = text[lastColon - 1] === ':' ? text.slice(0, lastColon + 1) : text.slice(0, lastColon);
    words = 6;
  }
  const halves = head.split('::');
  if (halves.length > 2) return false;
  const left = halves[0] === '' ? [] : (halves[0] ?? '').split(':');
  const right = (halves[1] ?? '') === '' ? [] : (halves[1] ?? '').split(':');
  const given = left.length + right.length;
  if (halves.length === 1 ? given !== words : given >= words) return false;
  const groups = [...left, ...Array.from({ length: words - given }, () => '0'), ...right];
  return groups.every((group, index) => {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return false;
    const value = Number.parseInt(group, 16);
    out[index * 2] = value >> 8;
    out[index * 2 + 1] = value & 0xff;
    return true;
  });
};
