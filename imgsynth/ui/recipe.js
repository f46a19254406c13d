(() => {
    "use strict";
    const PATIENCE_MS = 30000;
    const STEP_MS = 100;
    const REST_MS = 400;
    const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));
    const field = () => document.querySelector("#recipe-file input[type=file]");
    const brings = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

    const until = async (found) => {
        for (let waited = 0; waited < PATIENCE_MS && !found(); waited += STEP_MS) await pause(STEP_MS);
        return found();
    };

    // Resolves once nothing in a part of the page has changed for a moment.
    const rest = (part) => new Promise((resolve) => {
        const end = () => { watcher.disconnect(); clearTimeout(patience); resolve(); };
        const again = () => { clearTimeout(waiting); waiting = setTimeout(end, REST_MS); };
        const watcher = new MutationObserver(again);
        const patience = setTimeout(end, PATIENCE_MS);
        let waiting = setTimeout(end, REST_MS);
        watcher.observe(part, { attributes: true, childList: true, subtree: true });
    });

    // A tab is built when it is first shown, and what it is set to reaches its fields a moment later.
    const press = async (id) => {
        const find = () => document.querySelector(`button#${id}, #${id} button`);
        if (!id || !(await until(find))) return;
        await rest(find().closest("[role=tabpanel]") ?? document.body);
        find().click();
    };

    const unfold = () => {
        const fold = document.querySelector("#recipe button.label-wrap");
        if (fold && !fold.classList.contains("open")) fold.click();
    };

    const take = async (files) => {
        unfold();
        // The field is there once the file before is out of it; Clear is the last of its buttons.
        if (!field()) [...document.querySelectorAll("#recipe-file .icon-button-wrapper button")].at(-1)?.click();
        const input = await until(field);
        if (!input) return;
        input.files = files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
        document.getElementById("recipe").scrollIntoView({ block: "start", behavior: "smooth" });
    };

    // Fields that take files stop these events; what falls beside them would make the browser leave the page.
    const listen = () => {
        document.addEventListener("dragover", (event) => brings(event) && event.preventDefault());
        document.addEventListener("drop", (event) => {
            if (event.defaultPrevented || !brings(event) || !event.dataTransfer.files.length) return;
            event.preventDefault();
            take(event.dataTransfer.files);
        });
    };

    return { press, listen };
})()
