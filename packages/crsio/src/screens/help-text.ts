// Texts of F1 that are no key's: how crsio is used. What sections and keys mean comes from the schema (form-page.ts).
// Invariant: keys named here are those of terminal-input.ts.

export const KEYS_HELP = `crsio edits the file by which this machine becomes a client of RSIO servers.

The way to a working client: add the interfaces of this machine that lead to servers, save, add a namespace (F7 finds it), fill in the \
name and the key of this machine, find the servers of the namespace (F7), save, start rsiod.

Up, Down, Tab  go from line to line or field to field
Enter          opens, chooses, goes to the next field
Esc            back
F1             tells about the screen or the field
F2             shows keys that are hidden, and hides them again
F3             saves; a running rsiod is asked to read the file
F4             offers what may stand in a field
F7             actions of the screen
F8, Delete     removes what is marked
F10            leaves, and asks when something is not saved
Where the terminal keeps function keys for itself: Esc and a digit, 0 for F10.

In a field: Left, Right, Home, End, Delete, Backspace; Ctrl-U and Ctrl-K cut to the begin and to the end, Ctrl-W the word before.`;

export const FOUND_HELP = `Asks for servers by broadcast on every interface of the file, and at the address that was given (F7), and shows what \
answers while it comes. Enter takes a namespace into a login form.

A server in another network, behind a router, does not hear broadcasts: give its address with F7.
With a namespacekey only answers are believed that are signed with it. What was not believed is told below, with the reason.`;

export const SEARCH_HELP = `Asks for the servers of this namespace, tries every pair of an interface of this machine and an interface of a server, \
with the login data, and adds a [server] section for each interface of a server that can be used.

What is left out is told with its reason. Sections that are there already stay as they are. The file is changed only when you save.`;

export const STATUS_HELP = `What the running rsiod says, once a second. tx and rx are the two directions of a path, each by itself. The bars compare \
the paths with the fastest of them.

Enter on a volume attaches it, or detaches it after a question.`;

export const DIFFERENCE_HELP = `Lines with - stand only in the file as it is now, lines with + only in what you edited here, others in both.

F7 reads the file anew, or overwrites it with what you edited here.`;
