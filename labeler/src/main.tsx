/** main.tsx - opens the list of whoever the server takes us for, and shows it. */
import { createRoot } from "react-dom/client";
import { App } from "./App.js";
import { begin } from "./begin.js";
import "./style.css";

createRoot(document.getElementById("page")!).render(<App opening={begin()} />);

// Under Trusted Types a worker's address needs a policy's word.
const policy = (
  globalThis as {
    trustedTypes?: {
      createPolicy(name: string, rules: object): { createScriptURL(url: string): string };
    };
  }
).trustedTypes?.createPolicy("labeler", { createScriptURL: () => "/sw.js" });
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  navigator.serviceWorker
    .register(policy?.createScriptURL("/sw.js") ?? "/sw.js")
    .catch((error: unknown) => {
      console.warn("the page will not open without a network:", error);
    });
}
