// Executes operations that visitors fill in on the pages /operations, through the HTTP interface's own code (api/api.ts). Invariants: an order
// is executed only after its question was asked of this token and confirmed, for exactly the values that the question has shown; each question
// is spent once, so that an order is executed once, however often its form is sent; a page waits at most ORDER_SHOWN_MS; no question shows a secret value.

import { createHash, randomUUID } from 'node:crypto';
import { type Field, fieldsOf, orderIdsOf, valuesOf } from '@rsio/api/views/operation-form';
import { type ResultPart, resultView, words } from '@rsio/api/views/result-view';
import { checkedParams } from '@rsio/common/control/control-server';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Api, PageRequest } from '../api/api.ts';
import type { Operation } from '../api/operations.ts';
import type { WebToken } from '../config/rswebcfg.ts';
import { ORDER_SHOWN_MS, PAGE_ANSWERS_MAX, PAGE_QUESTIONS_MAX } from '../limits.ts';
import type { Confirmation } from './desk.ts';

/** Before the name of a field in a form and an address, so that a parameter never meets a field of the page. */
const PARAM = 'p.';
const HIDDEN = '(not shown)';

/** What a visitor has filled in. */
export interface Filled {
  readonly operation: Operation;
  readonly fields: readonly Field[];
  /** The text of each field that was filled in. */
  readonly texts: Readonly<Record<string, string>>;
  /** For an operation at any server. */
  readonly server: string;
  readonly namespace: string;
}

export interface Answered {
  /** The answer; null: none yet, or there is a trouble. */
  readonly parts: readonly ResultPart[] | null;
  readonly trouble: string | null;
  /** The parameter that is wrong; null if none is. */
  readonly parameter: string | null;
}

export class OperationDesk {
  private readonly api: Pick<Api, 'run'>;
  private readonly clock: Clock;
  /** The questions that were asked and not answered: of which token, and about what. The oldest first. */
  private readonly open = new Set<string>();
  /** Maps a question to the answer of its order. The oldest first. */
  private readonly answers = new Map<string, Promise<Answered>>();

  constructor(api: Pick<Api, 'run'>, clock: Clock) {
    this.api = api;
    this.clock = clock;
  }

  /** Executes an operation that changes nothing. */
  read(filled: Filled, token: WebToken): Promise<Answered> {
    return this.answered(() => this.api.run(requestOf(filled, randomUUID()), token));
  }

  /** Returns the question about an order, or what is wrong with its values. */
  question(filled: Filled, token: Pick<WebToken, 'name'>): Confirmation | Answered {
    try {
      const { operation } = filled;
      const id = randomUUID();
      checkedParams(operation.method, operation.params, requestOf(filled, id).params);
      const question = questionOf(filled, id);
      this.open.add(keyOf(question.object, token));
      dropOldest(this.open, PAGE_QUESTIONS_MAX);
      return question;
    } catch (thrown) {
      return troubleOf(thrown);
    }
  }

  /** Executes an order whose question was confirmed. Returns null if `confirm` confirms no question about these values that is kept. */
  async order(filled: Filled, id: string, confirm: string, token: WebToken): Promise<Answered | null> {
    if (confirm !== objectOf(filled, id)) return null;
    const key = keyOf(confirm, token);
    if (this.open.delete(key)) {
      this.answers.set(
        key,
        this.answered(() => this.api.run(requestOf(filled, id), token)),
      );
      dropOldest(this.answers, PAGE_ANSWERS_MAX);
    }
    const answer = this.answers.get(key);
    return answer === undefined ? null : Promise.race([answer, this.patience()]);
  }

  private async answered(work: () => Promise<object>): Promise<Answered> {
    try {
      const result = await work();
      const trouble = failureIn(result);
      return { parts: trouble === null ? resultView(result) : null, trouble, parameter: null };
    } catch (thrown) {
      return troubleOf(thrown);
    }
  }

  private patience(): Promise<Answered> {
    return new Promise((resolve) => void this.clock.after(ORDER_SHOWN_MS, () => resolve({ parts: null, trouble: null, parameter: null })));
  }
}

/** Reads a form or an address. */
export function filledIn(operation: Operation, form: URLSearchParams): Filled {
  const fields = fieldsOf(operation.params);
  const given = fields.flatMap(({ name }) => {
    const text = (form.get(fieldName(name)) ?? '').trim();
    return text === '' ? [] : [[name, text]];
  });
  const place = (name: string): string => (form.get(name) ?? '').trim();
  const isPlaced = operation.place === 'servers';
  return {
    operation,
    fields,
    texts: Object.fromEntries(given) as Record<string, string>,
    server: isPlaced ? place('server') : '',
    namespace: isPlaced ? place('namespace') : '',
  };
}

/** The name of a parameter's field in the form. */
export function fieldName(param: string): string {
  return `${PARAM}${param}`;
}

function requestOf({ operation, fields, texts, server, namespace }: Filled, id: string): PageRequest {
  if (operation.place === 'servers' && server === '')
    throw new RsError('E_USAGE', 'No server is given: fill in its name', { parameter: 'server' });
  const target = operation.place === 'servers' ? { server, namespace: namespace === '' ? null : namespace } : null;
  return { operation, target, params: { ...valuesOf(fields, texts), ...orderIdsOf(operation.params, id) }, id };
}

function questionOf(filled: Filled, id: string): Confirmation {
  const { operation, texts, server, namespace } = filled;
  const { place, method, entry, params } = operation;
  const shown = Object.entries(texts).map(([name, text]) => `${words(name)}: ${params[name]?.isSecret === true ? HIDDEN : text}`);
  return {
    title: `Do ${method}`,
    what: entry.help,
    consequence: [...(server === '' ? [] : [`at server ${server}`]), ...shown].join(', ') || 'It has no parameters.',
    object: objectOf(filled, id),
    fields: { ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [fieldName(name), text])), server, namespace, id },
    action: `/operations/${place}/${method}`,
    href: `/operations/${place}/${method}`,
  };
}

function keyOf(object: string, { name }: Pick<WebToken, 'name'>): string {
  return `${name} ${object}`;
}

function dropOldest(kept: Set<string> | Map<string, unknown>, max: number): void {
  const [oldest] = kept.keys();
  if (kept.size > max && oldest !== undefined) kept.delete(oldest);
}

/** Names exactly what was asked about, in a text that shows no value. */
function objectOf({ operation: { place, method }, texts, server, namespace }: Filled, id: string): string {
  const values = Object.entries(texts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([place, method, server, namespace, values, id]))
    .digest('hex');
}

/** Returns what an answer about several volumes says of those with which it was not done. */
function failureIn(result: object): string | null {
  const { outcomes = [] } = result as { readonly outcomes?: readonly { readonly error?: { readonly message: string } | null }[] };
  const failed = outcomes.flatMap(({ error }) => (error === null || error === undefined ? [] : [error.message]));
  return failed.length === 0 ? null : failed.join('; ');
}

function troubleOf(thrown: unknown): Answered {
  const { message, context } = toRsError(thrown);
  const parameter = context['parameter'] ?? context['unknown'];
  return { parts: null, trouble: message, parameter: typeof parameter === 'string' ? parameter : null };
}
