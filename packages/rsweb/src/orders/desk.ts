// Takes orders: asks for a confirmation if the order needs one, executes the order, logs it with the name of the token, and keeps the
// notice for the next page. Invariants: an order is logged before it starts and after it has ended; a page waits at most ORDER_SHOWN_MS for
// an order; a confirmation counts only for the object that the question has named.

import { randomBytes } from 'node:crypto';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { FIELD_MAX_CHARS, NOTICE_MS, NOTICES_MAX, ORDER_SHOWN_MS, ORDERS_MAX } from '../limits.ts';
import { LOCAL, permits, roleOfToken, type WebRight } from '../config/rights.ts';
import type { WebToken } from '../config/rswebcfg.ts';
import type { Hub } from '../sources/hub.ts';
import type { Fields, OrderKind, Work } from './order.ts';

/** A question before the execution of an order, as pages/confirm.ts shows it. */
export interface Confirmation {
  readonly title: string;
  readonly what: string;
  readonly consequence: string;
  /** The object for which the confirmation counts, such as `volume oracle@0`. The form with the visitor's answer must repeat this text. */
  readonly object: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly action: string;
  readonly href: string;
}

export type Outcome =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'confirm'; readonly confirmation: Confirmation }
  /** `notice`: a query such as `notice=KEY`. The next page is opened with this query, and then shows the notice. */
  | { readonly kind: 'done'; readonly href: string; readonly notice: string; readonly text: string; readonly isDone: boolean };

export class Desk {
  private readonly orders: Readonly<Record<string, OrderKind>>;
  private readonly hub: Pick<Hub, 'ownPicture' | 'renew'>;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly notices = new Map<string, { readonly text: string; readonly atMs: number }>();
  private running = 0;

  constructor(orders: Readonly<Record<string, OrderKind>>, hub: Pick<Hub, 'ownPicture' | 'renew'>, clock: Clock, log: Log) {
    this.orders = orders;
    this.hub = hub;
    this.clock = clock;
    this.log = log;
  }

  /** Returns whether a token with these rights may give the order; null if there is no such order. */
  permits(name: string, rights: WebRight): boolean | null {
    const kind = Object.hasOwn(this.orders, name) ? this.orders[name] : undefined;
    return kind === undefined ? null : permits(rights, kind.needs, 'pages');
  }

  /** Takes an order of the visitor with this token. */
  async take(name: string, form: URLSearchParams, token: Pick<WebToken, 'name' | 'rights'>): Promise<Outcome> {
    const { orders } = this;
    const kind = Object.hasOwn(orders, name) ? orders[name] : undefined;
    if (kind === undefined) return { kind: 'unknown' };
    let work: Work;
    try {
      // Only the picture of this machine's daemons: a report of another machine never leads to an order.
      work = kind.prepare(fieldsOf(form), this.hub.ownPicture());
    } catch (thrown) {
      return this.refused(backOf(form), toRsError(thrown).message);
    }
    if (kind.confirm !== null && form.get('confirm') !== work.object) {
      const fields = Object.fromEntries([...form].filter(([field]) => field !== 'csrf' && field !== 'confirm'));
      const { verb, consequence: usual } = kind.confirm;
      const consequence = work.consequence ?? usual;
      const common = { consequence, fields, object: work.object, action: `/orders/${name}`, href: backOf(form) };
      return { kind: 'confirm', confirmation: { ...common, title: `${verb} ${work.object}`, what: work.done } };
    }
    if (this.running >= ORDERS_MAX) return this.refused(work.href, `${ORDERS_MAX} orders run already: try again`);
    return this.carryOut(name, work, token);
  }

  /** Returns the notice for a key; null if the key is unknown or too old. */
  notice(key: string | null): string | null {
    const found = key === null ? undefined : this.notices.get(key);
    return found === undefined || this.clock.monotonicMs() - found.atMs > NOTICE_MS ? null : found.text;
  }

  private async carryOut(name: string, work: Work, { name: token, rights }: Pick<WebToken, 'name' | 'rights'>): Promise<Outcome> {
    const { log } = this;
    const by = { by: `rsweb token ${token}`, role: LOCAL[roleOfToken(rights, 'pages')] };
    log.info(`Token ${token} orders ${name}: ${work.done}`, { audit: true, login: token, order: name });
    this.running++;
    const run = work.run(by).then(
      () => {
        log.info(`Order ${name} of token ${token} is done: ${work.done}`, { audit: true, login: token, order: name });
        return null;
      },
      (thrown: unknown) => {
        const { message } = toRsError(thrown);
        log.warn(`Order ${name} of token ${token} has failed: ${message}`, { audit: true, login: token, order: name });
        return message;
      },
    );
    const ended = run.finally(() => {
      this.running--;
      // The picture is out of date now.
      this.hub.renew();
    });
    const trouble = await Promise.race([ended, this.patience()]);
    if (trouble === null) return this.outcome(work.href, `Done: ${work.done}`, true);
    if (trouble === LASTING) return this.outcome(work.href, 'The order takes longer: the log of rsweb tells its outcome', true);
    return this.refused(work.href, trouble);
  }

  private patience(): Promise<string> {
    return new Promise((resolve) => void this.clock.after(ORDER_SHOWN_MS, () => resolve(LASTING)));
  }

  private refused(href: string, message: string): Outcome {
    return this.outcome(href, `Not done: ${message}`, false);
  }

  private outcome(href: string, text: string, isDone: boolean): Outcome {
    const notice = randomBytes(12).toString('base64url');
    this.notices.set(notice, { text, atMs: this.clock.monotonicMs() });
    const [oldest] = this.notices.keys();
    if (this.notices.size > NOTICES_MAX && oldest !== undefined) this.notices.delete(oldest);
    return { kind: 'done', href, notice, text, isDone };
  }
}

const LASTING = 'lasting';

function fieldsOf(form: URLSearchParams): Fields {
  return { get: (name) => (form.get(name) ?? '').trim().slice(0, FIELD_MAX_CHARS) };
}

/** Returns the path of the page of the form's object, to which the visitor can go back. */
function backOf(form: URLSearchParams): string {
  for (const kind of ['volume', 'client', 'server'] as const) {
    const id = form.get(kind);
    if (id !== null && id !== '') return `/${kind}/${encodeURIComponent(id)}`;
  }
  return '/';
}
