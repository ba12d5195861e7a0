import { cleanup, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Alert } from '../../lib/api/client';
import { session } from '../../lib/session.svelte';
import AlertSteps from '../AlertSteps.svelte';

const alert = (id: number) => ({ id, handling: 'acknowledged', steps: ['dispatch'] }) as Alert;
const asked = () => screen.queryByLabelText('To whom? A team or a person');

describe('the steps of an alert', () => {
  beforeEach(() => void vi.spyOn(session, 'can').mockReturnValue(true));
  afterEach(() => {
    cleanup();
    vi.restoreAllMocks();
  });

  it('takes a key that was pressed while the step before it was still on its way', async () => {
    const { component, rerender } = render(AlertSteps, { alert: alert(1), busy: true, act: async () => {} });
    component.begin('dispatch');
    await rerender({ busy: true });
    expect(asked()).toBeNull();
    await rerender({ busy: false });
    expect(asked()).not.toBeNull();
  });

  it('forgets that key when another alert is looked at', async () => {
    const { component, rerender } = render(AlertSteps, { alert: alert(1), busy: true, act: async () => {} });
    component.begin('dispatch');
    await rerender({ alert: alert(2), busy: false });
    expect(asked()).toBeNull();
  });
});
