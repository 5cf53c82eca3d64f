// Represents the user's commands as data. List lines, actions (F7) and answers to questions carry commands; perform.ts executes the chosen
// command. Invariant: a command refers to objects by their names in the file, never by a position on the screen.

/** The purpose of a form. A form whose `name` is null creates a new section. */
export type FormPurpose =
  | { readonly kind: 'interface'; readonly name: string | null }
  | { readonly kind: 'namespace'; readonly name: string | null }
  | { readonly kind: 'server'; readonly namespace: string; readonly name: string | null }
  | { readonly kind: 'defaults' }
  | { readonly kind: 'explore' }
  | { readonly kind: 'mirror' };

/** Parameters of an exploration. If `address` is not null, the exploration also sends requests directly to `address`. */
export interface ExploreRequest {
  readonly address: string | null;
  /** UDP port to explore; if null, the port in [defaults] is used. */
  readonly port: number | null;
  readonly namespacekey: string | null;
}

/** A mirror to be made, as the form has it: texts that their values' types accept. */
export interface MirrorWish {
  readonly name: string;
  readonly size: string;
  /** Names, separated by commas. */
  readonly servers: string;
  /** Empty: none, or rsiod chooses. So with the following. */
  readonly witness: string;
  readonly namespace: string;
  readonly pool: string;
}

export type Removable =
  | { readonly kind: 'interface' | 'namespace'; readonly name: string }
  | { readonly kind: 'server'; readonly namespace: string; readonly name: string };

export type Command =
  | { readonly do: 'open'; readonly screen: 'interfaces' | 'namespaces' | 'mirrors' | 'status' }
  | { readonly do: 'open-namespace'; readonly name: string }
  | { readonly do: 'edit'; readonly purpose: FormPurpose }
  | { readonly do: 'remove' | 'remove-now'; readonly what: Removable }
  | { readonly do: 'fill'; readonly key: string; readonly text: string }
  | { readonly do: 'look-at-machine' | 'add-all-interfaces' | 'start-daemon' }
  | { readonly do: 'find-namespace'; readonly request: ExploreRequest }
  | { readonly do: 'take-found'; readonly index: number }
  | { readonly do: 'find-servers' }
  | { readonly do: 'test-paths' }
  | { readonly do: 'attach' | 'detach' | 'detach-now'; readonly volume: string }
  | { readonly do: 'mirror-choices' | 'remove-mirror' | 'remove-mirror-now'; readonly volume: string }
  | { readonly do: 'save' | 'save-and-leave' | 'leave' | 'end' }
  | { readonly do: 'read-file' | 'read-file-now' | 'overwrite' }
  | { readonly do: 'accept-form' | 'drop-form' | 'back' }
  | { readonly do: 'help' | 'actions' | 'close-popup' };
