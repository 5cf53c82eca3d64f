// Inputs of the user as the page machine receives them. terminal-input.ts maps the terminal's bytes to keys. Invariant: every function of
// crsio can be used with these inputs.

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

export type Input = { readonly kind: 'key'; readonly key: KeyName } | { readonly kind: 'text'; readonly text: string };
