// What a person does at the keyboard, as the model hears it. Which bytes of the terminal make which key is terminal-input.ts.
// Invariant: everything in crsio can be done with these.

export type KeyName =
  | 'up'
  | 'down'
  | 'left'
  | 'right'
  | 'home'
  | 'end'
  | 'pageup'
  | 'pagedown'
  | 'tab'
  | 'backtab'
  | 'enter'
  | 'escape'
  | 'backspace'
  | 'delete'
  | 'cut-before'
  | 'cut-after'
  | 'cut-word'
  | 'help'
  | 'show'
  | 'save'
  | 'choose'
  | 'action'
  | 'remove'
  | 'leave';

/** A key, or text that was typed or pasted. */
export type Input = { readonly kind: 'key'; readonly key: KeyName } | { readonly kind: 'text'; readonly text: string };
