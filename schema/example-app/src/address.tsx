/** What a page shows is in its address, such as `?model=penguins`: it can be linked to, and "back" works. */
import { type ComponentProps, type MouseEvent, useSyncExternalStore } from 'react';

export function useAddress(): URLSearchParams {
  return new URLSearchParams(useSyncExternalStore(subscribe, () => window.location.search));
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener('popstate', onChange);
  return () => window.removeEventListener('popstate', onChange);
}

export function go(address: URLSearchParams, how: 'pushState' | 'replaceState' = 'replaceState'): void {
  window.history[how](null, '', `?${address}`);
  window.dispatchEvent(new PopStateEvent('popstate'));
}

export function Link({ to, ...rest }: { to: Record<string, string> } & ComponentProps<'a'>) {
  const address = new URLSearchParams(to);
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(address, 'pushState');
  };
  return <a href={`?${address}`} onClick={follow} {...rest} />;
}
