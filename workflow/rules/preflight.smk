# Asks the cluster whether it would take a run and get it done. Makes no file.


# Where Snakemake runs, which is where jobs are submitted
localrules:
    preflight,


rule preflight:
    """SLURM's status, what the profile asks for, a job in each partition, the shared folder, GPUs, room."""
    log:
        "<logs>/preflight.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        profile=f"{workflow.basedir}/slurm/profile.yaml",
        patients=len(PATIENTS),
        training=max([minutes_for(recipe_keys(model)) for model in TRAINED], default=0),
    message:
        "Ask the cluster"
    script:
        "../../scripts/preflight.py"
