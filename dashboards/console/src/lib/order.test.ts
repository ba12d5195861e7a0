import { describe, expect, it } from 'vitest';
import type { Alert } from './api/client';
import { heldList, hold, joined } from './order';

const alert = (id: number, severity = 'minor') => ({ id, severity }) as Alert;

describe('a list that somebody points at', () => {
  it('keeps its order when new alerts come and others go', () => {
    const held = hold([alert(1), alert(2), alert(3)]);
    const { list, waiting } = heldList(held, [alert(9, 'critical'), alert(3, 'critical'), alert(1)]);
    expect(list.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(list[2]?.severity).toBe('critical');
    expect(waiting).toBe(1);
  });

  it('has nothing that waits when nothing is new', () => {
    expect(heldList(hold([alert(1)]), [alert(1)]).waiting).toBe(0);
  });

  it('does not take for new what only was not loaded yet', () => {
    const held = joined(hold([alert(1), alert(2)]), [alert(2), alert(3)]);
    const { list, waiting } = heldList(held, [alert(1), alert(2), alert(3), alert(4)]);
    expect([list.map(({ id }) => id), waiting]).toEqual([[1, 2, 3], 1]);
  });
});
