import type { MessagePage } from './api/client';

type Message = MessagePage['items'][number];

/** Messages that reached some people and not others, the newest of each channel and reason: a mailbox that is gone is one line. */
export function partlySent(newestFirst: readonly Message[]): Message[] {
  const known = new Set<string>();
  return newestFirst.filter((message) => {
    if (message.state !== 'sent' || !message.error) return false;
    const kind = `${message.channel}\n${message.error}`;
    return !known.has(kind) && known.add(kind);
  });
}
