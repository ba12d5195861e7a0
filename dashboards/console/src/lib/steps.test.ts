import { describe, expect, it } from 'vitest';
import { needs, roleFor, shownSteps } from './steps';

describe('the steps of an alert', () => {
  it('show the one that leads on first, and no remark', () => {
    expect(shownSteps(['acknowledge', 'dispatch', 'dismiss', 'comment'], 'new')).toEqual(['acknowledge', 'dispatch', 'dismiss']);
    expect(shownSteps(['dispatch', 'handle', 'dismiss', 'comment'], 'dispatched')).toEqual(['handle', 'dispatch', 'dismiss']);
    expect(shownSteps(['reopen', 'comment'], 'verified')).toEqual(['reopen']);
  });

  it('ask to whom, and why where somebody must know', () => {
    expect(needs('dispatch', 'new')).toEqual({ note: false, assignee: true });
    expect(needs('dispatch', 'dispatched')).toEqual({ note: true, assignee: true });
    expect(needs('dismiss', 'new')).toEqual({ note: true, assignee: false });
    expect(needs('handle', 'dispatched')).toEqual({ note: false, assignee: false });
  });

  it('are for those who may take them', () => {
    expect(roleFor('handle', 'dispatched')).toBe('crew');
    expect(roleFor('dispatch', 'dispatched')).toBe('crew');
    expect(roleFor('dispatch', 'new')).toBe('dispatcher');
    expect(roleFor('verify', 'handled')).toBe('dispatcher');
  });
});
