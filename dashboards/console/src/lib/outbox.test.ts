import { describe, expect, it } from 'vitest';
import type { MessagePage } from './api/client';
import { partlySent } from './outbox';

const message = (id: number, state: string, error: string | null, channel = 'mail') =>
  ({ id, channel, state, error }) as MessagePage['items'][number];

describe('messages that did not reach everybody', () => {
  it('shows each reason of a channel once, by its newest message', () => {
    const gone = 'not to gone@town.example: 550 no such mailbox';
    const page = [
      message(9, 'sent', gone),
      message(8, 'sent', null),
      message(7, 'waiting', 'busy'),
      message(6, 'dead', 'refused'),
      message(5, 'sent', gone, 'chiefs'),
      message(4, 'sent', gone),
      message(3, 'sent', 'not to old@town.example: 550'),
    ];
    expect(partlySent(page).map((found) => found.id)).toEqual([9, 5, 3]);
  });
});
