(() => {
    "use strict";
    const TASKS = ["sample", "interpolate", "translate", "inpaint"];
    const TOLD_MS = 2500;

    // The names of tabs are translated and may hide in a menu; their pickers have fixed ids.
    const where = () => TASKS.find((task) => document.getElementById(`${task}-model`)?.offsetParent) ?? "models";

    // Where the page is not served over HTTPS, browsers have no clipboard of their own.
    const copyByHand = (text) => {
        const field = document.createElement("textarea");
        const focused = document.activeElement;
        field.value = text;
        document.body.append(field);
        field.select();
        const copied = document.execCommand("copy");
        field.remove();
        focused?.focus();
        return copied;
    };

    const copied = async (text) => {
        try {
            await navigator.clipboard.writeText(text);
            return true;
        } catch {
            return copyByHand(text);
        }
    };

    const show = async (query) => {
        const address = new URL(window.location);
        const own = [...address.searchParams].filter(([name]) => name.startsWith("__"));
        address.search = query;
        for (const [name, value] of own) address.searchParams.append(name, value);
        history.replaceState(history.state, "", address);
        return (await copied(address.href)) ? "clipboard" : "address";
    };

    const pause = () => new Promise((resolve) => setTimeout(resolve, TOLD_MS));

    return { where, show, pause };
})()
