// Tests that an operation of the pages is called with the values of its form, that an order is executed only for exactly what its question
// has shown, and once.

import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, expect, test } from 'vitest';
import type { PageRequest } from '../api/api.ts';
import { OPERATIONS } from '../api/operations.ts';
import type { WebToken } from '../config/rswebcfg.ts';
import { ORDER_SHOWN_MS, PAGE_ANSWERS_MAX, PAGE_QUESTIONS_MAX } from '../limits.ts';
import type { Confirmation } from './desk.ts';
import { type Filled, filledIn, OperationDesk } from './operation-desk.ts';

const ANNA = { name: 'anna', rights: 'admin' } as WebToken;
const BERT = { ...ANNA, name: 'bert' };
const EMPTY = { parts: null, trouble: null, parameter: null };

let clock: FakeClock;
let asked: PageRequest[];
let answer: () => Promise<object>;
let desk: OperationDesk;

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
  answer = async () => ({ volume: { sizeBytes: 1_048_576 } });
  desk = new OperationDesk({ run: (request) => (asked.push(request), answer()) }, clock);
});

function filled(place: keyof typeof OPERATIONS, method: string, form: Readonly<Record<string, string>>): Filled {
  return filledIn(OPERATIONS[place].get(method)!, new URLSearchParams(form));
}

const CREATE = { 'p.name': 'db', 'p.sizeBytes': '20g' };

function questionFor(of: Filled, token = ANNA): Confirmation {
  const question = desk.question(of, token);
  if (!('title' in question)) throw new Error(`No question: ${question.trouble}`);
  return question;
}

/** Sends the form of a question, as a browser does. */
function confirmed(question: Confirmation, token = ANNA, place: keyof typeof OPERATIONS = 'server'): ReturnType<OperationDesk['order']> {
  const again = filled(place, question.action.split('/')[3] ?? '', question.fields);
  return desk.order(again, question.fields['id'] ?? '', question.object, token);
}

test('a form becomes the parameters of its method, and its answer facts and tables', async () => {
  const answered = await confirmed(questionFor(filled('server', 'volume-create', CREATE)));
  expect(asked).toMatchObject([{ target: null, params: { name: 'db', sizeBytes: 20 * 1024 ** 3 } }]);
  expect(asked[0]?.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(answered).toEqual({ ...EMPTY, parts: [{ kind: 'facts', title: 'volume', facts: [['size', '1.0M']] }] });
});

test('an operation at another server needs its name, and goes there', async () => {
  expect(await desk.read(filled('servers', 'volume-list', {}), ANNA)).toMatchObject({ parameter: 'server' });
  await desk.read(filled('servers', 'volume-list', { server: 'big-9', namespace: 'osl' }), ANNA);
  expect(asked).toMatchObject([{ target: { server: 'big-9', namespace: 'osl' } }]);
});

test('the id of an order is made for it, however its parameter is called', async () => {
  await confirmed(questionFor(filled('client', 'mirror-snapshot', { 'p.name': 'db', 'p.snapshot': 'monday' })), ANNA, 'client');
  expect(asked[0]?.params['id']).toBe(asked[0]?.id);
});

test('a wrong value is named before anything is asked', () => {
  expect(desk.question(filled('server', 'volume-create', { ...CREATE, 'p.sizeBytes': 'much' }), ANNA)).toMatchObject({
    parameter: 'sizeBytes',
  });
  expect(asked).toEqual([]);
});

test('without its question, or with another value, server, id or operation, nothing is executed', async () => {
  const of = filled('servers', 'volume-create', { ...CREATE, server: 'big-9' });
  const { object, fields } = questionFor(of);
  const id = fields['id'] ?? '';
  const other = (more: Record<string, string>): Filled => filled('servers', 'volume-create', { ...CREATE, server: 'big-9', ...more });
  const tries = [
    desk.order(of, id, '', ANNA),
    desk.order(other({ 'p.name': 'log' }), id, object, ANNA),
    desk.order(other({ 'p.thick': 'true' }), id, object, ANNA),
    desk.order(other({ server: 'big-8' }), id, object, ANNA),
    desk.order(other({ namespace: 'x' }), id, object, ANNA),
    desk.order(
      of,
      id.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      object,
      ANNA,
    ),
    desk.order(of, 'x', object, ANNA),
    desk.order(filled('server', 'volume-create', CREATE), id, object, ANNA),
  ];
  expect(await Promise.all(tries)).toEqual(tries.map(() => null));
  expect(asked).toEqual([]);
});

test('a form that is sent again shows the answer, and executes nothing, and no other visitor can send it', async () => {
  const question = questionFor(filled('server', 'volume-create', CREATE));
  expect(await confirmed(question, BERT)).toBeNull();
  expect(asked).toEqual([]);
  const first = await confirmed(question);
  expect(await confirmed(question)).toEqual(first);
  expect(await confirmed(question, BERT)).toBeNull();
  expect(asked).toHaveLength(1);
});

test('an order is executed once also if its answer is not kept any more, and after a restart of rsweb', async () => {
  const first = questionFor(filled('server', 'volume-create', CREATE));
  await confirmed(first);
  for (let count = 0; count < PAGE_ANSWERS_MAX; count++) await confirmed(questionFor(filled('server', 'volume-create', CREATE)));
  expect(asked).toHaveLength(PAGE_ANSWERS_MAX + 1);
  expect(await confirmed(first)).toBeNull();
  const later = questionFor(filled('server', 'volume-create', CREATE));
  desk = new OperationDesk({ run: (request) => (asked.push(request), answer()) }, clock);
  expect(await confirmed(later)).toBeNull();
  expect(asked).toHaveLength(PAGE_ANSWERS_MAX + 1);
});

test('questions are kept within their bound, and one that was pushed out confirms nothing', async () => {
  const first = questionFor(filled('server', 'volume-create', CREATE));
  for (let count = 0; count < PAGE_QUESTIONS_MAX; count++) questionFor(filled('server', 'volume-create', CREATE));
  expect(await confirmed(first)).toBeNull();
  expect(asked).toEqual([]);
});

test('an order that takes long is shown without an answer, which the same form shows later', async () => {
  let end: (result: object) => void = () => {};
  answer = () => new Promise((resolve) => (end = resolve));
  const question = questionFor(filled('server', 'volume-create', CREATE));
  const waiting = confirmed(question);
  clock.advance(ORDER_SHOWN_MS);
  expect(await waiting).toEqual(EMPTY);
  end({ fine: true });
  expect(await confirmed(question)).toMatchObject({ parts: [{ facts: [['fine', 'yes']] }] });
  expect(asked).toHaveLength(1);
});

test('what a daemon refuses is said with its parameter', async () => {
  answer = () => Promise.reject(new RsError('E_USAGE', 'Volume db exists already', { parameter: 'name' }));
  const refused = await confirmed(questionFor(filled('server', 'volume-create', CREATE)));
  expect(refused).toEqual({ parts: null, trouble: 'Volume db exists already', parameter: 'name' });
});

test('an answer about several volumes is no success if one of them failed', async () => {
  answer = async () => ({ outcomes: [{ error: null }, { error: { message: 'Volume b is held by big-3' } }] });
  const question = questionFor(filled('client', 'attach', { 'p.names': 'a b' }));
  expect(await confirmed(question, ANNA, 'client')).toEqual({ ...EMPTY, trouble: 'Volume b is held by big-3' });
});

test('no question shows a secret value, and its form has it', () => {
  const secret = Object.entries(OPERATIONS.server.get('namespace-apply')!.params).find(([, { isSecret }]) => isSecret === true)?.[0] ?? '';
  const of = filled('server', 'namespace-apply', { [`p.${secret}`]: '{"swordfish":1}' });
  const question = desk.question(of, ANNA);
  expect('consequence' in question ? question.consequence : question.trouble).not.toContain('swordfish');
});
