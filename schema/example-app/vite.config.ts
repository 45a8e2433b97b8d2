import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // The app shares `apollo-cache.ts` with the folder above.
  server: { fs: { allow: ['..'] } },
});
