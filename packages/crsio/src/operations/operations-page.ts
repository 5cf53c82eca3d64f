// The page with all operations of a daemon, and the form of each, made from the tables of methods. Pure. Invariants: every entry of a table
// that is for people is on the page; what changes something is sent only after a question; a form checks its fields as the daemon does.

import { type Field, fieldsOf, orderIdsOf, valuesOf } from '@rsio/api/views/operation-form';
import type { ValueType } from '@rsio/common/config/schema/value-types';
import { checkedParams } from '@rsio/common/control/control-server';
import type { ControlMethod } from '@rsio/common/control/method-table';
import { escapeControls } from '@rsio/base/lib/printable';
import { plural } from '@rsio/base/lib/units';
import { entryOf, type FieldSpec, fieldText, type Form, formOf, neededText } from '../machine/form.ts';
import { openForm } from '../machine/form-page.ts';
import {
  ask,
  type Command,
  type ListPage,
  type Machine,
  onTop,
  pageOf,
  popped,
  pushed,
  type Step,
  step,
  topOf,
} from '../machine/machine.ts';
import { columnsOf, type Content, textRow } from '../machine/rows.ts';
import { resultPage } from './result-page.ts';

type Values = Readonly<Record<string, unknown>>;
type Entry = ControlMethod & { readonly command: object };

export interface Operation<S> {
  /** The name in the list: that of the method, or after the name of another daemon. */
  readonly name: string;
  readonly method: ControlMethod;
  /** True if the operation changes nothing. */
  readonly isRead: boolean;
  call(state: S, params: Values): Promise<object>;
}

/** An operation that the user has ordered. */
export interface Sending<S> {
  readonly doing: string;
  /** The owner of the form; null if the operation has no parameters. */
  readonly owner: object | null;
  readonly send: () => Promise<object>;
  /** Closes the form, and shows the answer unless the user is elsewhere by now. */
  readonly show: (state: S, answer: object) => S;
}

/** What a part of crsio does for its page. */
export interface OperationsPart<S> {
  readonly program: string;
  readonly help: string;
  readonly operations: readonly Operation<S>[];
  newId(state: S): string;
  send(state: S, sending: Sending<S>): Step<S>;
}

const PAGE = 'operations';

/** Returns the operations of a table. Its entries are only known at run time, as for the daemon that checks the parameters. */
export function operationsOf<S, E extends Entry>(
  table: Readonly<Record<string, E>>,
  isRead: (entry: E) => boolean,
  call: (state: S, method: never, params: never) => Promise<object>,
  prefix = '',
): readonly Operation<S>[] {
  return Object.entries(table).flatMap(([method, entry]) => {
    if ('calledBy' in entry.command) return [];
    const send: Operation<S>['call'] = (state, params) => call(state, method as never, params as never);
    return [{ name: prefix + method, method: entry, isRead: isRead(entry), call: send }];
  });
}

export function operationsPage<S extends Machine<S>>(part: OperationsPart<S>): ListPage<S> {
  const all = part.operations.map((operation) => ({ operation, command: beginning(part, operation) }));
  const title = `All operations of ${part.program}`;
  const content = (state: S, filter: string): Content<Command<S>> => {
    const wanted = filter.toLowerCase();
    const shown = all.filter(({ operation: { name, method } }) => `${name} ${method.help}`.toLowerCase().includes(wanted));
    const lines = columnsOf(
      shown.map(({ operation: { name, method } }) => [name, method.help]),
      [0],
    );
    const marked = shown[Math.min(onTop(state, PAGE)?.focus ?? 0, shown.length - 1)];
    return {
      title: `${title}: ${filter === '' ? '' : `${shown.length} of `}${plural(all.length, 'operation')}`,
      rows:
        shown.length === 0
          ? [textRow(`No operation with ${filter}`)]
          : shown.map(({ operation: { name }, command }, index) => ({ id: name, lines: [lines[index] ?? ''], command, remove: null })),
      actions: null,
      hint: filter === '' ? (marked?.operation.method.help ?? '') : `Only with: ${filter}   Esc shows all`,
      help: { title, text: part.help },
    };
  };
  return { ...pageOf(PAGE, content), filter: '' };
}

/** Opens the form of an operation. Without fields, the operation is asked for at once. */
function beginning<S extends Machine<S>>(part: OperationsPart<S>, operation: Operation<S>): Command<S> {
  const { name, method, isRead } = operation;
  const fields = fieldsOf(method.params);
  if (fields.length === 0) return (state) => ordered(state, part, operation, null, {});
  const owner = {};
  const take = (state: S, form: Form): Step<S> => ordered(state, part, operation, owner, textsOf(form));
  const question = 'The form has entries that are not applied';
  const texts = { applyLabel: isRead ? 'Ask' : 'Do it', help: method.help, fieldHelp: neededText, question };
  const page = { owner, take, actions: [], choosers: {}, isKept: false, ...texts };
  return (state) =>
    step(
      openForm(state, {
        ...page,
        form: formOf(
          name,
          fields.map((field) => specOf(field, method.help)),
        ),
      }),
    );
}

function specOf(field: Field, help: string): FieldSpec {
  const { name, what, isRequired, isSecret, preset, choices, param } = field;
  const type: ValueType<unknown> = {
    kind: field.kind,
    allowed: what,
    isSecret,
    ...(choices.length === 0 ? {} : { words: choices }),
    parse: (text) => checkedParams(PAGE, { [name]: param }, valuesOf([field], { [name]: text })),
  };
  return { key: name, entry: entryOf(type, help, isRequired, preset === '' ? null : preset) };
}

function textsOf({ fields }: Form): Readonly<Record<string, string>> {
  return Object.fromEntries(fields.map((field) => [field.key, fieldText(field)]));
}

function ordered<S extends Machine<S>>(
  state: S,
  part: OperationsPart<S>,
  operation: Operation<S>,
  owner: object | null,
  texts: Readonly<Record<string, string>>,
): Step<S> {
  const { name, method, isRead } = operation;
  const fields = fieldsOf(method.params);
  const values = valuesOf(fields, texts);
  const id = part.newId(state);
  const params = checkedParams(name, method.params, { ...values, ...orderIdsOf(method.params, id) });
  const start: Command<S> = (now) => {
    const show: Sending<S>['show'] = (later, answer) => answered(later, name, owner, answer);
    return part.send(now, { doing: name, owner, send: () => operation.call(now, params), show });
  };
  if (isRead) return start(state);
  const given = fields.flatMap((field) => {
    const text = texts[field.name] ?? '';
    return text === '' ? [] : [`    ${field.name}: ${field.isSecret ? '***' : escapeControls(text)}`];
  });
  const answers = [['Do it', start] as const, ['Cancel', null] as const];
  return step(ask(state, 'Do it?', [name, ...given, '', method.help].join('\n'), answers, 1));
}

function answered<S extends Machine<S>>(state: S, name: string, owner: object | null, answer: object): S {
  const top = topOf(state);
  const closed = top.kind === 'form' && top.owner === owner ? popped(state) : state;
  if (onTop(closed, PAGE) === null) return { ...closed, note: `${name} is done` };
  return pushed<S>({ ...closed, note: null }, resultPage(name, answer));
}
