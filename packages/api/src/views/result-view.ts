// Makes facts and tables for people of any answer of a daemon. crsio and rsweb show them. Pure. Invariants: names become words, numbers with
// a unit in their name become sizes, durations and times, and no control character of a text remains. `-` stands for a missing value.

import { escapeControls } from '@rsio/base/lib/printable';
import { isRecord } from '@rsio/base/lib/shape';
import { printDuration, shownSize } from '@rsio/base/lib/units';
import { formatTime, TIME_MAX_MS } from '@rsio/base/log/log-line';

/** The title of a part says which field of the answer it shows; the answer itself has no title. */
export type ResultPart =
  | { readonly kind: 'facts'; readonly title: string; readonly facts: readonly (readonly [name: string, text: string])[] }
  | { readonly kind: 'table'; readonly title: string; readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] };

type Values = Readonly<Record<string, unknown>>;

/** A number of ms from here on is a time, and a smaller one a duration. As a duration, it would have 31 years. */
const TIMES_FROM_MS = 1e12;
/** A duration from here on is rounded to seconds. */
const ROUNDED_FROM_MS = 10_000;

/** Returns the single values first, and then a part for each object and for each list of objects. */
export function resultView(result: object): readonly ResultPart[] {
  return partsOf('', { ...result });
}

function partsOf(title: string, values: Values): ResultPart[] {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  const facts = entries.filter(([, value]) => !isRecord(value) && !isTable(value));
  const own: ResultPart[] =
    facts.length === 0 ? [] : [{ kind: 'facts', title, facts: facts.map(([key, value]) => [words(key), valueText(key, value)]) }];
  const inner = entries.flatMap(([key, value]) => {
    const below = title === '' ? words(key) : `${title}, ${words(key)}`;
    if (isRecord(value)) return partsOf(below, value);
    return isTable(value) ? [tableOf(below, value)] : [];
  });
  return [...own, ...inner];
}

function isTable(value: unknown): value is readonly Values[] {
  return Array.isArray(value) && value.length > 0 && value.every(isRecord);
}

function tableOf(title: string, list: readonly Values[]): ResultPart {
  const keys = [...new Set(list.flatMap((each) => Object.keys(each)))];
  const rows = list.map((each) => keys.map((key) => valueText(key, each[key])));
  return { kind: 'table', title, columns: keys.map(words), rows };
}

/** Returns `block size` for `blockSizeBytes`. A key that is no name of a field, such as an id, stays as it is. */
export function words(key: string): string {
  if (!/^[a-z]+([A-Z][a-z0-9]*)*$/.test(key)) return escapeControls(key);
  const bare = key.replace(/(?<=.)(Bytes|Ms)$/, '');
  return bare.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function valueText(key: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (Array.isArray(value)) return listText(key, value);
  if (isRecord(value))
    return listText(
      key,
      Object.entries(value).map(([name, one]) => `${words(name)} ${valueText(name, one)}`),
    );
  switch (typeof value) {
    case 'boolean':
      return value ? 'yes' : 'no';
    case 'number':
      return numberText(key, value);
    default:
      return escapeControls(typeof value === 'string' ? value : JSON.stringify(value));
  }
}

/** Sentences may contain commas. */
function listText(key: string, list: readonly unknown[]): string {
  const texts = list.map((each) => valueText(key, each));
  return texts.length === 0 ? 'none' : texts.join(texts.some((text) => text.includes(', ')) ? '; ' : ', ');
}

function numberText(key: string, value: number): string {
  if (key.endsWith('Bytes')) return shownSize(value);
  if (key.endsWith('Ms')) return timeText(value);
  return String(value);
}

function timeText(ms: number): string {
  if (ms >= TIMES_FROM_MS) return ms > TIME_MAX_MS ? String(ms) : formatTime(ms);
  return printDuration(ms < ROUNDED_FROM_MS ? ms : Math.round(ms / 1_000) * 1_000);
}
