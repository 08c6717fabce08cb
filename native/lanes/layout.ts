/**
 * Layouts: a declaration becomes code that writes and reads its messages in place, in the lane. Generated with
 * `new Function`, because closures over a list of fields are five times slower.
 *
 * Body of a record: 8-byte fields, 4-byte fields and sizes of blobs, sizes of texts, fixed bytes, single bytes;
 * aligned to 8: blobs, lists and shared (each padded to 8), then texts.
 */
import { codecs } from './codecs.ts';
import {
  type Declaration,
  type Fields,
  fieldsOf,
  isDelivery,
  isQuestion,
  type ReplyTo,
} from './fields.ts';
import { DELIVERY, type Envelope, HEADER_WORDS, type Lane, QUESTION, REPLY } from './lane.ts';

type Message = { readonly kind: string };

export type Protocol = {
  readonly kinds: readonly string[];
  readonly kindOf: ReadonlyMap<string, number>;
  /** Words of the largest answer, header included, texts and blobs counted as empty. */
  readonly answerWords: number;
  /**
   * Writes a message with its header; false when there is no room or no slab (`lane.starved`). Throws a RangeError
   * that names kind and field when a value has no place in the layout.
   */
  readonly send: (lane: Lane, message: Message, e: Envelope, ask: number) => boolean;
  readonly sendReply: (
    lane: Lane,
    answer: object,
    e: Envelope,
    to: Omit<ReplyTo<unknown>, 'from'>,
  ) => boolean;
  /** The message whose body starts at word `body`. */
  readonly receive: (lane: Lane, body: number, kind: number) => Message;
  readonly receiveReply: (lane: Lane, body: number, kind: number) => object;
};

/** What one set of fields compiles to. `items` holds the item fields of its lists. */
type Plan = {
  readonly write: string;
  readonly read: (head: string) => string;
  /** Words of the fixed part. */
  readonly words: number;
};

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const RESERVED = new Set(['kind', 'replyTo', 'delivery', 'result', 'listing', 'terminated']);

class Writer {
  readonly kind: string;
  readonly items: unknown[];
  readonly write: string[] = [];
  readonly before: string[] = [];
  readonly bound: string[] = [];
  readonly setup: string[] = [];
  readonly read = new Map<string, string>();
  at = 0;
  constructor(kind: string, items: unknown[]) {
    this.kind = kind;
    this.items = items;
  }
  where(name: string): string {
    return JSON.stringify(`${this.kind}.${name}`);
  }
}

const fixedFields = (w: Writer, fields: Fields, names: readonly string[]): void => {
  const of = (...codes: string[]) => names.filter((n) => codes.includes(fields[n]!.code));
  for (const n of of('f64', 'i64')) {
    const array = fields[n]!.code === 'f64' ? 'f' : 'g';
    w.write.push(`${array}[q+${w.at / 8}]=m.${n};`);
    w.read.set(n, `${array}[q+${w.at / 8}]`);
    w.at += 8;
  }
  for (const n of of('u32')) {
    w.write.push(`i[o+${w.at / 4}]=H.checkU32(${w.where(n)},m.${n});`);
    w.read.set(n, `i[o+${w.at / 4}]>>>0`);
    w.at += 4;
  }
};

const byteFields = (w: Writer, fields: Fields, names: readonly string[]): void => {
  const of = (code: string) => names.filter((n) => fields[n]!.code === code);
  for (const n of of('bytes')) {
    const { size } = fields[n]!;
    w.write.push(`H.writeBytes(${w.where(n)},l,m.${n},b+${w.at},${size});`);
    w.read.set(n, `H.readBytes(l,b+${w.at},${size})`);
    w.at += size;
  }
  for (const n of of('bool')) {
    w.write.push(`u[b+${w.at}]=m.${n}?1:0;`);
    w.read.set(n, `u[b+${w.at}]===1`);
    w.at += 1;
  }
  for (const n of of('oneOf')) {
    const words = (fields[n]!.values ?? []).map((v) => JSON.stringify(v));
    const choice = words.map((v, k) => `m.${n}===${v}?${k}:`).join('');
    w.write.push(`u[b+${w.at}]=H.checkOne(${w.where(n)},${choice}255,m.${n});`);
    w.read.set(n, `[${words.join(',')}][u[b+${w.at}]]`);
    w.at += 1;
  }
};

/** Blobs, lists and shared: sizes among the 4-byte fields, bytes or handles behind the fixed part. */
const largeFields = (w: Writer, fields: Fields, names: readonly string[], heads: Heads): void => {
  for (const n of names) {
    const { code } = fields[n]!;
    const head = `o+${heads.get(n)}`;
    const [room, put, size, get] =
      code === 'shared'
        ? ['sharedRoom', 'writeShared', `H.sharedSize(i[${head}])`, 'readShared']
        : ['blobRoom', 'writeBlob', `H.blobSize(l,i[${head}])`, 'readBlob'];
    const given = code === 'list' ? `L$${n}` : `m.${n}`;
    let value = `H.${get}(l,p,i[${head}])`;
    if (code === 'list') {
      const item = `F[${w.items.push(fields[n]!.item) - 1}]`;
      w.before.push(`const ${given}=H.encodeList(${w.where(n)},${item},m.${n});`);
      value = `H.decodeList(${item},${value})`;
    }
    w.bound.push(`+H.${room}(${w.where(n)},l,${given})`);
    w.write.push(
      `p=H.${put}(l,${given},p,${head});if(p<0){l.slabs.abort();l.starved=true;return false}`,
    );
    w.setup.push(`const $${n}=${value};p+=${size};`);
    w.read.set(n, `$${n}`);
  }
};

type Heads = ReadonlyMap<string, number>;

const textFields = (w: Writer, fields: Fields, names: readonly string[], heads: Heads): void => {
  const of = (code: string) => names.filter((n) => fields[n]!.code === code);
  const size = (n: string) => `s[h+${heads.get(n)}]`;
  const [atoms, plain] = [of('atom'), of('str')];
  w.write.push('let z;const h=b>>1;');
  w.setup.push('const h=b>>1;');
  for (const n of [...atoms, ...plain]) {
    w.bound.push(`+H.textBound(${w.where(n)},m.${n})`);
    w.write.push(`z=H.writeText(l,m.${n},p);${size(n)}=z;p+=z&32767;`);
    w.read.set(n, `$${n}`);
  }
  for (const n of atoms) {
    w.setup.push(`const $${n}=H.readAtom(l,p,${size(n)});p+=${size(n)}&32767;`);
  }
  if (plain.length === 0) return;
  const ascii = plain.map((n) => `y=x+${size(n)};$${n}=w.substring(x,y);x=y;`).join('');
  const wide = plain.map((n) => `$${n}=H.readText(l,p,${size(n)});p+=${size(n)}&32767;`).join('');
  w.setup.push(
    `let ${plain.map((n) => `$${n}`).join(',')};if(((${plain.map(size).join('|')})&32768)===0){` +
      `let x=0,y=0;const w=H.readAscii(l,p,${plain.map(size).join('+')});${ascii}}else{${wide}}`,
  );
};

const VIEWS = 'const i=l.i32,f=l.f64,g=l.i64,u=l.u8,s=l.u16,b=o<<2,q=o>>1;';

const plan = (kind: string, fields: Fields, items: unknown[], tag: string, ask: string): Plan => {
  const names = Object.keys(fields);
  const wrong = names.find((n) => !NAME.test(n) || RESERVED.has(n));
  if (wrong !== undefined) throw new TypeError(`message ${kind}: a field cannot be named ${wrong}`);
  const w = new Writer(kind, items);
  const large = names.filter((n) => ['blob', 'list', 'shared'].includes(fields[n]!.code));
  const texts = names.filter((n) => ['atom', 'str'].includes(fields[n]!.code));
  fixedFields(w, fields, names);
  const heads = new Map<string, number>();
  for (const n of large) {
    heads.set(n, w.at / 4);
    w.at += 4;
  }
  for (const n of texts) {
    heads.set(n, w.at / 2);
    w.at += 2;
  }
  byteFields(w, fields, names);
  const fixed = (w.at + 7) & ~7;
  const varies = large.length + texts.length > 0;
  if (varies) {
    w.write.push(`let p=b+${fixed};`);
    w.setup.push(`let p=b+${fixed};`);
  }
  largeFields(w, fields, large, heads);
  if (texts.length > 0) textFields(w, fields, texts, heads);
  const words = varies ? `(${fixed + 7}${w.bound.join('')}>>3<<1)` : `${fixed >> 2}`;
  const used = varies ? '((p-b+7)>>3<<1)' : `${fixed >> 2}`;
  const write =
    `${w.before.join('')}const n=${HEADER_WORDS}+${words};` +
    `if(n>l.quarter)H.tooLarge(${JSON.stringify(kind)},n,l);` +
    `const a=l.reserve(n,e.room);if(a<0)return false;const o=a+${HEADER_WORDS};${VIEWS}` +
    `${w.write.join('')}${large.length > 0 ? 'if(l.slabs!==undefined)l.slabs.commit();' : ''}` +
    `l.commit(a,${HEADER_WORDS}+${used},${tag},${ask},e);return true;`;
  const body = names.map((n) => `${n}:${w.read.get(n)}`).join(',');
  const read = (head: string): string => `${w.setup.join('')}return{${head}${body}};`;
  return { write, read, words: fixed >> 2 };
};

const REPLY_TO = (kind: number): string =>
  `replyTo:{from:l.index,ask:i[o-${HEADER_WORDS - 4}],incarnation:i[o-${HEADER_WORDS - 3}],` +
  `kind:${kind},dueMs:f[(o-${HEADER_WORDS - 6})>>1]},`;

/** Of a delivery, `ask` holds the gap and the deadline the number. */
const DELIVERED = `delivery:{from:l.index,n:f[(o-${HEADER_WORDS - 6})>>1],gap:i[o-${HEADER_WORDS - 4}]},`;

const generate = (declaration: Declaration): Protocol => {
  const kinds = Object.keys(declaration);
  const items: unknown[] = [];
  const cases = { send: '', receive: '', reply: '', receiveReply: '' };
  let answerWords = 0;
  kinds.forEach((kind, k) => {
    const declared = declaration[kind]!;
    const asks = isQuestion(declared);
    const id = JSON.stringify(kind);
    const delivers = isDelivery(declared);
    const tag = asks ? k | QUESTION : delivers ? k | DELIVERY : k;
    const from = asks ? REPLY_TO(k) : delivers ? DELIVERED : '';
    const body = plan(kind, fieldsOf(declared), items, `${tag}`, 'ask,0');
    cases.send += `case ${id}:{${body.write}}`;
    cases.receive += `case ${k}:{${body.read(`kind:${id},${from}`)}}`;
    if (!asks) return;
    const answer = plan(
      `${kind}.answer`,
      declared.answer,
      items,
      `${k | REPLY}`,
      't.ask,t.incarnation',
    );
    answerWords = Math.max(answerWords, HEADER_WORDS + answer.words);
    cases.reply += `case ${k}:{${answer.write}}`;
    cases.receiveReply += `case ${k}:{${answer.read('')}}`;
  });
  const make = (signature: string, head: string, on: string, body: string) =>
    new Function(
      'H',
      'F',
      `'use strict';return (${signature})=>{${head}switch(${on}){${body}` +
        `default:throw new TypeError('no message '+${on}+' of this actor')}}`,
    )(codecs, items);
  return {
    kinds,
    kindOf: new Map(kinds.map((kind, k) => [kind, k])),
    answerWords,
    send: make('l,m,e,ask', '', 'm.kind', cases.send),
    sendReply: make('l,m,e,t', '', 't.kind', cases.reply),
    receive: make('l,o,k', VIEWS, 'k', cases.receive),
    receiveReply: make('l,o,k', VIEWS, 'k', cases.receiveReply),
  };
};

const compiled = new WeakMap<Declaration, Protocol>();

/** The codecs of a declaration; both ends of a lane compile the same one. */
export const compile = (declaration: Declaration): Protocol => {
  const known = compiled.get(declaration);
  if (known !== undefined) return known;
  const fresh = generate(declaration);
  compiled.set(declaration, fresh);
  return fresh;
};
