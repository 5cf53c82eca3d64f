// The page machine: a stack of pages, popups above the top page, and a note. Each part of crsio (client, server, start page) adds its own
// data to the state of the machine. One state for all parts would make every function handle all parts. Commands are functions, because
// data would need a type, a name and a case in a switch for each. Invariants: a command is pure: it only computes the next state and the
// effects. Only effects reach files, sockets and the clock. A command that would lose something only asks a question, and each answer
// contains the command that the answer executes.

import type { KeyEntry } from '@rsio/common/config/schema/entries';
import { toRsError } from '@rsio/base/lib/errors';
import type { Size } from '../widgets/canvas.ts';
import { type Form, isTouched } from './form.ts';
import type { Choice, Content } from './rows.ts';

/** `S`: the state of one part of crsio. */
export interface Machine<S> {
  readonly role: Role<S>;
  readonly size: Size;
  /** True if crsio has a start page. From the start page, the user also reaches the other part. */
  readonly hasStart: boolean;
  /** The stack of pages; the last one is shown. */
  readonly pages: readonly [Page<S>, ...Page<S>[]];
  /** Only the last popup is shown. */
  readonly popups: readonly Popup<Command<S>>[];
  /** Message about the last event; the next key press removes it. */
  readonly note: string | null;
  /** False until the user presses a key. */
  readonly isUsed: boolean;
}

/** How the user leaves a part: to the start page, or out of crsio. */
export interface Leaving {
  showStart(): void;
  end(): void;
}

/** The commands of F3 (`save`) and F10 (`leave`) in a part, and the texts on all screens of the part. */
export interface Role<S> extends Leaving {
  readonly save: Command<S>;
  readonly leave: Command<S>;
  /** True if F10 ends crsio while the terminal is too small to ask a question. */
  mayEnd(state: S): boolean;
  /** True if the user would lose something by leaving crsio now. */
  isUnsaved(state: S): boolean;
  /** Returns the text at the right end of the title line. */
  mark(state: S): string;
  /** The text of the key line while no popup is open. If `keys` is null, the key line lists the keys that have an effect. */
  readonly keys: string | null;
  /** Returns the text for F3 in the key line; null if F3 does nothing. */
  saveKey(page: Page<S>): string | null;
}

export type Command<S> = (state: S) => Step<S>;

export interface Step<S> {
  readonly state: S;
  /** The effects, which are started in this order. */
  readonly effects: readonly Effect<S>[];
}

/** Uses files, sockets or the clock, and reports each outcome by passing a command to `tell`. Never throws. */
export type Effect<S> = (tell: Tell<S>) => void;
export type Tell<S> = (command: Command<S>) => void;

export interface ListPage<S> {
  readonly kind: 'list';
  /** The kind of page and the name of its object, for example `volume oracle@0`. */
  readonly id: string;
  /** Index of the marked row among the rows that can be chosen. If no row can be chosen, index of the first visible line. */
  readonly focus: number;
  /** The typed text. The page shows only rows that match this text. Null if the page ignores typed text. */
  readonly filter: string | null;
  content(state: S, filter: string): Content<Command<S>>;
  /** Returns the focus when the user returns to the page. Without this method, the focus stays unchanged. */
  focusOnReturn?(state: S): number;
  /** Returns the focus until the user presses the first key. Without this method, the focus stays unchanged. */
  focusUntilUsed?(state: S): number;
}

export interface FormPage<S> {
  readonly kind: 'form';
  /** Identifies the command that opened the form. Forms that the same command opened have the same owner. */
  readonly owner: object;
  readonly form: Form;
  /** The page's own actions, followed by `applyLabel` and "Discard". */
  readonly actions: readonly Choice<Command<S>>[];
  readonly applyLabel: string;
  /** Applies the entries of `form`, which checkForm() has accepted. */
  take(state: S, form: Form): Step<S>;
  /** The help that F1 shows while a button has the focus. */
  readonly help: string;
  /** Returns the last paragraph of the help on a field. */
  readonly fieldHelp: (entry: KeyEntry<unknown>) => string;
  /** Key: the key of a field. Value: the command that F4 executes for this field instead of opening the list of offers. */
  readonly choosers: Readonly<Record<string, Command<S>>>;
  /** True if the entries count as unsaved changes. */
  readonly isKept: boolean;
  /** The text of the question before a changed form closes. */
  readonly question: string;
}

export type Page<S> = ListPage<S> | FormPage<S>;

/** A popup, which covers part of the screen until the user answers or closes it. `C`: the type of commands. */
export interface Popup<C> {
  readonly title: string;
  readonly text: string;
  readonly choices: readonly Choice<C>[];
  /** Index of the marked choice; if the popup has no choices, index of the first visible line. */
  readonly focus: number;
  /**
   * Returns the popup after the space bar has marked or unmarked the choice at `focus`. A popup without this method has no choices that can
   * be marked.
   */
  mark?(focus: number): Popup<C>;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** Returns the state of a part at the start, with its first page. */
export function firstState<S>(given: Pick<Machine<S>, 'role' | 'size' | 'hasStart'>, page: ListPage<S>): Machine<S> {
  return { ...given, pages: [page], popups: [], note: null, isUsed: false };
}

/** Returns a page that ignores typed text. */
export function pageOf<S>(id: string, content: ListPage<S>['content']): ListPage<S> {
  return { kind: 'list', id, focus: 0, filter: null, content };
}

export function step<S>(state: NoInfer<S>, ...effects: readonly Effect<NoInfer<S>>[]): Step<S> {
  return { state, effects };
}

export function topOf<S extends Machine<S>>({ pages }: S): Page<S> {
  return pages.at(-1) ?? pages[0];
}

/** Returns the list page with this id if it is on top, otherwise null. */
export function onTop<S extends Machine<S>>(state: S, id: string): ListPage<S> | null {
  const top = topOf(state);
  return top.kind === 'list' && top.id === id ? top : null;
}

export function isOpen<S extends Machine<S>>({ pages }: S, id: string): boolean {
  return pages.some((page) => page.kind === 'list' && page.id === id);
}

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

/** Shows a text in a popup until the user closes the popup. */
export function report<S extends Machine<S>>(state: S, title: string, text: string): S {
  return ask(state, title, text, [['Close', null]]);
}

export function reportFailure<S extends Machine<S>>(state: S, title: string, failure: Failure): S {
  return report(state, title, failureText(failure));
}

export function failureText({ code, message }: Failure): string {
  return `${message} [${code}]`;
}

/** Asks the user a question. An answer without a command only closes the question. */
export function ask<S extends Machine<S>>(
  state: S,
  title: string,
  text: string,
  answers: readonly (readonly [label: string, command: Command<S> | null])[],
  focus = 0,
): S {
  return withPopup(state, { title, text, choices: answers.map(([label, command]) => ({ label, command })), focus });
}

/** Asks before a command. The choice that has the focus at first changes nothing. */
export function askBefore<S extends Machine<S>>(state: S, label: string, text: string, command: Command<S>): Step<S> {
  const answers = [[label, command] as const, ['Cancel', null] as const];
  return step(ask(state, label, text, answers, 1));
}

/** True if an open form has entries that count as unsaved changes. */
export function hasTouchedForm<S extends Machine<S>>({ pages }: S): boolean {
  return pages.some((page) => page.kind === 'form' && page.isKept && isTouched(page.form));
}

export function failureOf(thrown: unknown): Failure {
  const { code, message } = toRsError(thrown);
  return { code, message };
}

/**
 * Returns an effect that sends a request. The effect turns the answer into a command with `done`, and a failure into a command with
 * `failed`.
 */
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
