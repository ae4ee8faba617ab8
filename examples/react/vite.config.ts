import { defineConfig } from "vite";

// `npm run dev` beside `make run`: the page and the server look like one origin to both.
const target = "http://127.0.0.1:8080";
const proxy = { "/v1": { target, ws: true, changeOrigin: true, headers: { origin: target } } };

export default defineConfig({ server: { proxy }, preview: { proxy }, build: { target: "es2022" } });
