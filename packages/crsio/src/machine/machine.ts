// The page machine: a stack of pages, popups above the top page, and a note. The client, the server and the start page each extend its state
// by their data. Pure. Invariants: a command computes the next state and the effects, and never waits; only effects reach the outside; a
// command that would lose something asks first, and the chosen answer does it.

import type { KeyEntry } from '@rsio/common/config/schema/entries';
import { toRsError } from '@rsio/common/lib/errors';
import type { Size } from '../widgets/canvas.ts';
import { type Form, isTouched } from './form.ts';
import type { Choice, Content } from './rows.ts';

/** `S`: the state of one part of crsio. */
export interface Machine<S> {
  readonly role: Role<S>;
  readonly size: Size;
  /** True if there is a start page, from which the user also reaches the other part. */
  readonly hasStart: boolean;
  /** The stack of pages; the last one is shown. */
  readonly pages: readonly [Page<S>, ...Page<S>[]];
  /** The last popup is shown, above the top page. */
  readonly popups: readonly Popup<Command<S>>[];
  /** Message about the last event; the next key press removes it. */
  readonly note: string | null;
  /** False until the user presses a key. */
  readonly isUsed: boolean;
}

/** The ways out of a part. */
export interface Leaving {
  showStart(): void;
  end(): void;
}

/** What the keys F3 and F10 do in a part, and what its screens always show. */
export interface Role<S> extends Leaving {
  readonly save: Command<S>;
  readonly leave: Command<S>;
  /** False if F10 may not end crsio without a question. Decides while the terminal is too small for questions. */
  mayEnd(state: S): boolean;
  /** True if the user would lose something by leaving crsio now. */
  isUnsaved(state: S): boolean;
  /** The text at the right end of the title line. */
  mark(state: S): string;
  /** The key line without popups; null for the keys that have an effect. */
  readonly keys: string | null;
  /** What the key line says of F3; null if F3 does nothing. */
  saveKey(page: Page<S>): string | null;
}

export type Command<S> = (state: S) => Step<S>;

export interface Step<S> {
  readonly state: S;
  /** Started in this order. */
  readonly effects: readonly Effect<S>[];
}

/** Reaches the outside, and reports what happened as commands. It never throws. */
export type Effect<S> = (tell: Tell<S>) => void;
export type Tell<S> = (command: Command<S>) => void;

export interface ListPage<S> {
  readonly kind: 'list';
  /** The kind of page with the name of its object, such as `volume oracle@0`. */
  readonly id: string;
  /** Index among the rows that can be chosen; without such rows, index of the first visible line. */
  readonly focus: number;
  /** Typed text, which narrows the page down; null if the page ignores typed text. */
  readonly filter: string | null;
  content(state: S, filter: string): Content<Command<S>>;
  /** The focus when the user returns to the page; absent: unchanged. */
  focusOnReturn?(state: S): number;
  /** The focus until the user presses the first key; absent: unchanged. */
  focusUntilUsed?(state: S): number;
}

export interface FormPage<S> {
  readonly kind: 'form';
  /** Identifies the command that opened the form. */
  readonly owner: object;
  readonly form: Form;
  /** The page's own actions, followed by `applyLabel` and "Discard". */
  readonly actions: readonly Choice<Command<S>>[];
  readonly applyLabel: string;
  /** Takes over the entries, all of which are valid by themselves. */
  take(state: S, form: Form): Step<S>;
  /** Help while a button has the focus. */
  readonly help: string;
  /** The end of the help on a field. */
  readonly fieldHelp: (entry: KeyEntry<unknown>) => string;
  /** Opens a list other than the offers of the field, by the key of the field. */
  readonly choosers: Readonly<Record<string, Command<S>>>;
  /** True if leaving crsio would lose entries. */
  readonly isKept: boolean;
  /** Asked before a changed form closes. */
  readonly question: string;
}

export type Page<S> = ListPage<S> | FormPage<S>;

/** A popup, which covers part of the screen until the user answers or closes it. `C`: the commands. */
export interface Popup<C> {
  readonly title: string;
  readonly text: string;
  readonly choices: readonly Choice<C>[];
  /** Index of the marked choice; if the popup has no choices, index of the first visible line. */
  readonly focus: number;
  /** The popup after the space bar has marked the choice with the focus; absent if choices cannot be marked. */
  mark?(focus: number): Popup<C>;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
}

export function step<S>(state: NoInfer<S>, ...effects: readonly Effect<NoInfer<S>>[]): Step<S> {
  return { state, effects };
}

export function topOf<S extends Machine<S>>({ pages }: S): Page<S> {
  return pages.at(-1) ?? pages[0];
}

/** The list page with this id if it is on top, otherwise null. */
export function onTop<S extends Machine<S>>(state: S, id: string): ListPage<S> | null {
  const top = topOf(state);
  return top.kind === 'list' && top.id === id ? top : null;
}

/** True if the list page with this id is open. */
export function isOpen<S extends Machine<S>>({ pages }: S, id: string): boolean {
  return pages.some((page) => page.kind === 'list' && page.id === id);
}

/** Replaces the top page. */
export function withTop<S extends Machine<S>>(state: S, page: Page<S>): S {
  const [first, ...others] = state.pages;
  return { ...state, pages: others.length === 0 ? [page] : [first, ...others.slice(0, -1), page] };
}

export function pushed<S extends Machine<S>>(state: S, page: Page<S>): S {
  return { ...state, pages: [...state.pages, page] };
}

/** Closes the top page, but never the first one. */
export function popped<S extends Machine<S>>(state: S): S {
  const [first, ...others] = state.pages;
  return { ...state, pages: [first, ...others.slice(0, -1)] };
}

export function open<S extends Machine<S>>(page: ListPage<S>): Command<S> {
  return (state) => step(pushed(state, page));
}

export function back<S extends Machine<S>>(state: S): Step<S> {
  return step(popped(state));
}

export function end<S extends Machine<S>>(state: S): Step<S> {
  return step(state, () => state.role.end());
}

export function withPopup<S extends Machine<S>>(state: S, popup: Popup<Command<S>>): S {
  return { ...state, popups: [...state.popups, popup] };
}

/** Shows a text that the user closes. */
export function report<S extends Machine<S>>(state: S, title: string, text: string): S {
  return ask(state, title, text, [['Close', null]]);
}

export function reportFailure<S extends Machine<S>>(state: S, title: string, failure: Failure): S {
  return report(state, title, failureText(failure));
}

export function failureText({ code, message }: Failure): string {
  return `${message} [${code}]`;
}

/** Asks the user. An answer without a command only closes the question. */
export function ask<S extends Machine<S>>(
  state: S,
  title: string,
  text: string,
  answers: readonly (readonly [label: string, command: Command<S> | null])[],
  focus = 0,
): S {
  return withPopup(state, { title, text, choices: answers.map(([label, command]) => ({ label, command })), focus });
}

/** True if a form has entries that leaving crsio would lose. */
export function hasTouchedForm<S extends Machine<S>>({ pages }: S): boolean {
  return pages.some((page) => page.kind === 'form' && page.isKept && isTouched(page.form));
}

export function failureOf(thrown: unknown): Failure {
  const { code, message } = toRsError(thrown);
  return { code, message };
}

/** An effect that asks the outside. Its answer, or its failure, becomes a command. */
export function request<S, T>(
  work: (tell: Tell<S>) => T | Promise<T>,
  done: (answer: T) => Command<S>,
  failed: (failure: Failure) => Command<S>,
): Effect<S> {
  return (tell) => {
    const fail = (thrown: unknown): void => tell(failed(failureOf(thrown)));
    let answer: T | Promise<T>;
    try {
      answer = work(tell);
    } catch (thrown) {
      fail(thrown);
      return;
    }
    if (answer instanceof Promise) answer.then((value) => tell(done(value)), fail);
    else tell(done(answer));
  };
}
