/** Something that was looked at: what is there, or why it cannot be told. */
export type Observed<T> = { readonly value: T } | { readonly unreadable: string };
